import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import type { Finding } from '../../lib/doctor/finding.ts'
import { splitAddress } from '../../lib/stream/address.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { publishBytes } from '../support/network.ts'
import { TestPrograms } from '../support/programs.ts'
import { run } from '../support/run.ts'

describe('peerstreamer doctor', function () {
  this.timeout(30_000)
  const programs = new TestPrograms()
  let folder = ''
  let data = ''
  beforeEach(async () => {
    folder = await makeFolder()
    data = join(folder, 'data')
  })
  afterEach(async () => {
    await programs.close()
    await removeFolders()
  })

  /** The findings by the name of their check, and the exit code. */
  async function examine(args: string[], env: Record<string, string> = {}) {
    const { code, stdout, stderr } = await run('peerstreamer', ['doctor', '--json', '--port', '0', ...args], { env })
    expect(stderr).to.equal('')
    const findings = JSON.parse(stdout.toString()) as Finding[]
    return { code, findings, of: (check: string) => findings.find((finding) => finding.check === check) }
  }

  it('finds a healthy machine fit, a line each, and changes nothing', async () => {
    const { key } = await publishBytes(data, 'film', { count: 2, sizeBytes: 1000 })
    const source = await programs.node('source', ['--videodatabase', data])
    const chunks = join(folder, 'chunks')
    const relay = await programs.node('relay', ['--chunkdirectory', chunks, '--master', source.address])
    await relay.program.stop()
    const before = await namesAndTimes(folder)
    const args = ['--videodatabase', data, '--chunkdirectory', chunks, '--master', source.address]
    const { code, stdout, stderr } = await run('peerstreamer', ['doctor', '--port', '0', ...args])
    const text = stdout.toString()
    expect(stderr).to.equal('')
    expect(code, text).to.equal(0)
    expect(text).to.not.match(/^FAIL/m)
    expect(text).to.match(/^ok +ffmpeg +ffmpeg \d/m)
    expect(text).to.match(/^ok +encoder +libx264/m)
    expect(text).to.match(/^ok +port /m)
    expect(text).to.match(/^ok +clock /m)
    expect(text).to.match(/^ok +videodatabase +.* holds film$/m)
    expect(text).to.match(new RegExp(`^ok +signing-key +.* 0600; its streams show ${key}$`, 'm'))
    expect(text).to.match(/^ok +chunkdirectory +.*nobody has open$/m)
    expect(text).to.match(/^ok +master +tcp:.* is source \(source\) and answers in [\d.]+ ms$/m)
    expect(text).to.match(/^ok +master-clock /m)
    expect(text).to.match(new RegExp(`^ok +streams +the key ${key} signs film$`, 'm'))
    expect(await namesAndTimes(folder)).to.deep.equal(before)
  })

  it('says of each thing that is wrong what to do, and exits with 1', async () => {
    await publishBytes(data, 'film', { count: 2, sizeBytes: 1000 })
    await chmod(join(data, '.signing.key'), 0o644)
    await writeFile(join(folder, 'foreign'), '')
    const empty = await makeFolder()
    const silent = createServer((socket) => void socket.on('error', () => {}).resume())
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = silent.address() as AddressInfo
      const args = ['--port', String(port), '--videodatabase', data, '--chunkdirectory', folder]
      const { code, of } = await examine([...args, '--master', `tcp://127.0.0.1:${port}`], { PATH: empty })
      expect(code).to.equal(1)
      const wanted: Record<string, [found: RegExp, todo: RegExp]> = {
        ffmpeg: [/does not run/, /apt-get install ffmpeg/],
        ffprobe: [/does not run/, /apt-get install ffmpeg/],
        port: [/in use by another program/, /another --port/],
        'signing-key': [/mode 0644/, /^run: chmod 600 .*\.signing\.key$/],
        chunkdirectory: [/no chunk store/, /empty --chunkdirectory/],
        master: [/does not answer a ping within 2 s/, /start the node/],
      }
      for (const [check, [found, todo]] of Object.entries(wanted)) {
        const finding = of(check)
        if (finding?.level !== 'FAIL') throw new Error(`${check}: expected FAIL, got ${JSON.stringify(finding)}`)
        expect(finding.found).to.match(found)
        expect(finding.todo).to.match(todo)
      }
    } finally {
      await new Promise((resolve) => silent.close(resolve))
    }
  })

  it('tells a store that is in use, and leaves it as it is', async () => {
    await mkdir(data)
    const source = await programs.node('source', ['--videodatabase', data])
    const chunks = join(folder, 'chunks')
    const relay = await programs.node('relay', ['--chunkdirectory', chunks, '--master', source.address])
    const before = await namesAndTimes(join(chunks, 'index'))
    for (let round = 0; round < 2; round++) {
      const { code, of } = await examine(['--chunkdirectory', chunks])
      expect(code).to.equal(1)
      expect(of('chunkdirectory')).to.deep.include({ level: 'FAIL', found: `${chunks} is in use by another process` })
    }
    expect(await namesAndTimes(join(chunks, 'index'))).to.deep.equal(before)
    expect((await relay.stats()).name).to.equal('relay')
    await relay.program.stop()
    expect((await examine(['--chunkdirectory', chunks])).of('chunkdirectory')?.level).to.equal('ok')
    const again = await programs.node('relay', ['--chunkdirectory', chunks, '--master', source.address])
    expect((await again.stats()).name).to.equal('relay')
  })

  it('tells a directory that cannot be written to', async () => {
    if (spawnSync('unshare', ['-rm', 'true']).status !== 0)
      throw new Error('this test needs unshare (util-linux) and user namespaces')
    const program = fileURLToPath(new URL('../../bin/peerstreamer', import.meta.url))
    const script = `mount -t tmpfs -o ro tmpfs ${folder} && exec ${process.execPath} ${program} doctor --port 0 --chunkdirectory ${folder}`
    const { status, stdout } = spawnSync('unshare', ['-rm', 'sh', '-c', script], { encoding: 'utf8' })
    expect(status).to.equal(1)
    expect(stdout).to.match(/^FAIL +chunkdirectory +.*cannot be written to; give this user rights/m)
  })

  it('says which films fail with an ffmpeg that lacks an encoder', async () => {
    await fakeProgram('ffprobe', 'ffprobe version 1.0')
    await fakeProgram('ffmpeg', 'ffmpeg version 1.0\n V....D libx264rgb  x\n A....D aac  x')
    const { code, findings } = await examine([], { PATH: folder })
    expect(code, 'a warning is no failure').to.equal(0)
    const encoders = findings.filter(({ check }) => check === 'encoder')
    expect(encoders.map(({ level }) => level)).to.deep.equal(['warn', 'ok'])
    expect(encoders[0]?.found).to.match(/no libx264: films whose picture is not h264/)
  })

  it('takes the port of a node that runs as taken, and refuses wrong options', async () => {
    await mkdir(data)
    const source = await programs.node('source', ['--videodatabase', data])
    const { port } = splitAddress(source.address)
    expect((await examine(['--port', String(port)])).of('port')?.level).to.equal('FAIL')
    for (const args of [
      ['--port', '70000'],
      ['--master', 'http://x'],
    ]) {
      const { code, stderr } = await run('peerstreamer', ['doctor', ...args])
      expect(code).to.equal(2)
      expect(stderr).to.match(/expected --/)
    }
  })

  async function fakeProgram(name: string, says: string): Promise<void> {
    const path = join(folder, name)
    await writeFile(`${path}.txt`, `${says}\n`)
    await writeFile(path, `#!/bin/sh\nexec /bin/cat ${path}.txt\n`, { mode: 0o755 })
  }
})

/** Every file under a folder with what it holds, and every folder with when it was changed. */
async function namesAndTimes(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const { mtimeMs } = await stat(path)
    found[path] = entry.isFile() ? `${mtimeMs} ${(await readFile(path)).toString('base64')}` : String(mtimeMs)
  }
  return found
}
