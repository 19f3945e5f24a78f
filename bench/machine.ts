import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { projectPath } from './bench.ts'
import { nginxPath } from './nginx.ts'

/** What it was measured on. */
export function describeMachine(folder: string) {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMB: Math.round(totalmem() / 1e6),
    system: distribution(),
    kernel: release(),
    fileSystem: words('stat', ['--file-system', '--format', '%T', folder]),
  }
}

/** Of everything that took part; without what is not installed. */
export function describeVersions(): Record<string, string> {
  return {
    peerstreamer: `${packageVersion('package.json')} ${commit()}`,
    node: process.version,
    zeromq: packageVersion('node_modules/zeromq/package.json'),
    nginx: words(nginxPath || 'nginx', ['-v']),
    curl: words('curl', ['--version']).split(' (')[0] ?? '',
    iperf3: words('iperf3', ['--version']).split(' (')[0] ?? '',
    ...Object.fromEntries(
      ['webtorrent', 'zerorpc', 'level'].map((name) => [
        name,
        packageVersion(join('bench/node_modules', name, 'package.json')),
      ]),
    ),
  }
}

function packageVersion(path: string): string {
  try {
    return (JSON.parse(readFileSync(projectPath(path), 'utf8')) as { version: string }).version
  } catch {
    return 'not installed'
  }
}

function commit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { cwd: projectPath('.'), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    // Results and tables of a run are no change of what was measured.
    const changed = git('status', '--porcelain', '--', 'lib', 'bin', 'bench', ':!bench/results')
    return `${git('rev-parse', '--short', 'HEAD')}${changed === '' ? '' : ', changed'}`
  } catch {
    return ''
  }
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform
  } catch {
    return process.platform
  }
}

/** The first line that a program says; nginx says its version on stderr. */
function words(program: string, args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  return status === 0 ? (`${stdout}${stderr}`.split('\n')[0] ?? '').trim() : 'not installed'
}
