// Installs what is missing. Plain Node without dependencies: it runs before anything is installed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
const leastNode = [20, 19]

/** Ends the process with one sentence. */
function fail(sentence, code = 12) {
  process.stderr.write(`${sentence}\n`)
  process.exit(code)
}

/** Runs a program and shows what it says; ends the process with `sentence` when it fails. */
function must(program, args, sentence, options = {}) {
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options })
  if (status !== 0) fail(sentence)
}

function works(program, args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}

export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1])) return
  fail(
    `peerstreamer needs Node ${leastNode.join('.')} or newer, this is ${process.versions.node}; install a newer one from nodejs.org or your system's packages`,
  )
}

/** Says one sentence, and ends the process unless it can do without. */
function failOrSay(isOptional, sentence) {
  if (!isOptional) fail(sentence)
  process.stderr.write(`${sentence}\n`)
}

/** The packages of a folder, unless those of its lock file are installed already. */
export function installPackages(folder = '.', { isOptional = false } = {}) {
  const lock = readFileSync(join(root, folder, 'package-lock.json'))
  const stamp = join(root, '.cache', `packages-${folder.replaceAll('/', '_')}`)
  const digest = createHash('sha256').update(lock).update(process.version).digest('hex')
  if (existsSync(join(root, folder, 'node_modules')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest)
    return
  process.stderr.write(`installing npm packages${folder === '.' ? '' : ` of ${folder}`} ...\n`)
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const { status } = spawnSync('npm', args, { cwd: join(root, folder), stdio: 'inherit' })
  if (status !== 0) return failOrSay(isOptional, 'npm ci failed; see above')
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, digest)
}

/** Compiles lib/ to dist/ unless nothing changed since. */
export function build() {
  const digest = createHash('sha256')
  for (const file of [...filesIn(join(root, 'lib')), join(root, 'tsconfig.json'), join(root, 'tsconfig.build.json')])
    digest.update(file).update(readFileSync(file))
  const stamp = join(root, 'dist', '.built-from')
  const wanted = digest.digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  must(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
    'the build failed; see above',
  )
  writeFileSync(stamp, wanted)
}

function filesIn(folder) {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name)
      return statSync(path).isDirectory() ? filesIn(path) : [path]
    })
}

/** Programs of the system: how to see that they are there, and their Debian packages. */
export const systemPrograms = {
  ffmpeg: { isThere: () => works('ffmpeg', ['-version']) && works('ffprobe', ['-version']), packages: ['ffmpeg'] },
  python: {
    isThere: () => works('/usr/bin/python3', ['-c', 'import zmq, msgpack']),
    packages: ['python3', 'python3-zmq', 'python3-msgpack'],
  },
  ip: { isThere: () => works('ip', ['-V']), packages: ['iproute2'] },
  strace: { isThere: () => works('strace', ['-V']), packages: ['strace'] },
  nginx: { isThere: () => works('nginx', ['-v']) || works('/usr/sbin/nginx', ['-v']), packages: ['nginx-light'] },
  curl: { isThere: () => works('curl', ['--version']), packages: ['curl'] },
  iperf3: { isThere: () => works('iperf3', ['--version']), packages: ['iperf3'] },
}

/** Installs the named programs through apt where that is possible; else says the exact command. */
export function installPrograms(names, { isOptional = false } = {}) {
  const missing = names.filter((name) => !systemPrograms[name].isThere())
  if (missing.length === 0) return
  const packages = missing.flatMap((name) => systemPrograms[name].packages)
  const apt = works('apt-get', ['--version'])
  const sudo = process.getuid?.() === 0 ? [] : works('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined
  if (!apt || !sudo)
    return failOrSay(isOptional, `${missing.join(', ')} must be installed first; run: ${installCommand(packages)}`)
  process.stderr.write(`installing ${packages.join(', ')} ...\n`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const run = (...args) =>
    spawnSync([...sudo, 'apt-get'][0], [...sudo, 'apt-get', ...args].slice(1), { env, encoding: 'utf8' })
  run('update')
  const { status, stdout, stderr } = run('install', '-y', '--no-install-recommends', ...packages)
  if (status !== 0)
    failOrSay(
      isOptional,
      `apt could not install ${packages.join(', ')}:\n${stdout.slice(-1000)}${stderr.slice(-1000)}\nrun: ${installCommand(packages)}`,
    )
}

function installCommand(packages) {
  const managers = [
    ['apt-get', `sudo apt-get install ${packages.join(' ')}`],
    ['dnf', 'sudo dnf install ffmpeg python3-zmq python3-msgpack iproute strace'],
    ['pacman', 'sudo pacman -S ffmpeg python-pyzmq python-msgpack iproute2 strace'],
    ['apk', 'sudo apk add ffmpeg py3-pyzmq py3-msgpack iproute2 strace'],
    ['brew', 'brew install ffmpeg'],
  ]
  return managers.find(([manager]) => works(manager, ['--version']))?.[1] ?? "your system's package manager for ffmpeg"
}
