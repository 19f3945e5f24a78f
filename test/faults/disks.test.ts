import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'chai'
import { limitMs, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { publishBytes } from '../support/network.ts'
import { type NodeProgram, TestPrograms } from '../support/programs.ts'
import { seededChance } from '../support/seeded.ts'
import { until } from '../support/until.ts'
import { Viewer } from '../support/viewer.ts'

describe(`a relay whose disk fails amid a stream (seed ${seed})`, function () {
  this.timeout(limitMs(60_000))
  const chance = seededChance(seed)
  const programs = new TestPrograms()
  afterEach(async () => {
    await programs.close()
    await removeFolders()
  })

  /** What breaks the disk of a relay, and mends it. */
  const faults: [string, (pid: string, disk: string) => [string[], string[]]][] = [
    [
      'becomes read-only',
      (pid, disk) => {
        // A read-only view of the disk is put over it: a disk that has files open to write cannot be turned so itself.
        const cover = `mount --bind ${disk} ${disk} && mount -o remount,bind,ro ${disk}`
        return [
          [...enter(pid), 'sh', '-c', cover],
          [...enter(pid), 'umount', '-l', disk],
        ]
      },
    ],
    [
      'is full',
      (pid, disk) => {
        const ballast = join(disk, 'ballast')
        return [
          [...enter(pid), 'sh', '-c', `head -c 1g /dev/zero > ${ballast} || true`],
          [...enter(pid), 'rm', ballast],
        ]
      },
    ],
    [
      'may have no more files open',
      (pid) => [
        ['sh', '-c', `prlimit --pid ${pid} --nofile=$(ls /proc/${pid}/fd | wc -l):`],
        ['prlimit', '--pid', pid, '--nofile=1024:'],
      ],
    ],
  ]
  for (const [what, fault] of faults) {
    it(`passes chunks by when it ${what}, and keeps them again afterwards`, async () => {
      const folder = await makeFolder()
      const film = await publishBytes(join(folder, 'data'), 'film', { count: 500, sizeBytes: 96 * 1024, seed })
      const disk = await makeFolder()
      const source = await programs.node('source', ['--videodatabase', join(folder, 'data')])
      const relay = await programs.node(
        'relay',
        ['--chunkdirectory', join(disk, 'chunks'), '--capacity', '64m', '--master', source.address],
        // Each in a mount namespace of its own, that ends with it.
        { launcher: ['unshare', '-rm', 'sh', '-c', `mount -t tmpfs -o size=400m tmpfs ${disk} && exec "$@"`, 'sh'] },
      )
      const viewer = new Viewer(programs, { address: relay.address, film: 'film', folder, intervalMs: 8 })
      const at = 20 + Math.floor(chance() * 50)
      await viewer.reached(at)
      const [breaks, mends] = fault(String(relay.program.pid), disk)
      must(breaks)
      await viewer.reached(at + 150)
      must(mends)
      const mendedAt = await stored(relay)
      await viewer.verdict(film, `a disk that ${what}, seed ${seed}`)
      expect(relay.program.hasEnded).to.equal(false)
      await until(
        'chunks to be kept again',
        async () => {
          await programs.streamer(['--source', relay.address, '-f', 'film', '-o', '/dev/null']).ended
          return stored(relay)
        },
        (chunks) => chunks > mendedAt || chunks === 500,
        20_000,
      )
    })
  }
})

async function stored(relay: NodeProgram): Promise<number> {
  return (await relay.stats()).store?.chunks ?? 0
}

function enter(pid: string): string[] {
  return ['nsenter', `--target=${pid}`, '--user', '--mount', '--preserve-credentials']
}

function must([command = '', ...args]: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}
