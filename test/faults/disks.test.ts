import { join } from 'node:path'
import { expect } from 'chai'
import { type DiskFault, full, inputOutputError, noMoreFiles, onSmallDisk, readOnly } from '../support/disk-faults.ts'
import { limitMs, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { publishBytes } from '../support/network.ts'
import { type NodeProgram, TestPrograms } from '../support/programs.ts'
import { seededChance } from '../support/seeded.ts'
import { until } from '../support/until.ts'
import { Viewer } from '../support/viewer.ts'

describe(`a relay whose disk fails amid a stream (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  const chance = seededChance(seed)
  const programs = new TestPrograms()
  afterEach(async () => {
    await programs.close()
    await removeFolders()
  })

  const faults: [string, DiskFault][] = [
    ['becomes read-only', readOnly],
    ['is full', full],
    ['may have no more files open', noMoreFiles],
    ['fails to read and to write (EIO)', inputOutputError],
  ]
  for (const [what, fault] of faults) {
    it(`passes chunks by when it ${what}, and keeps them again afterwards`, async () => {
      const folder = await makeFolder()
      const film = await publishBytes(join(folder, 'data'), 'film', { count: 500, sizeBytes: 96 * 1024, seed })
      const other = await publishBytes(join(folder, 'data'), 'other', {
        count: 5,
        sizeBytes: 96 * 1024,
        seed: seed + 1,
      })
      const disk = await makeFolder()
      const source = await programs.node('source', ['--videodatabase', join(folder, 'data')])
      const relay = await programs.node(
        'relay',
        ['--chunkdirectory', join(disk, 'chunks'), '--capacity', '64m', '--master', source.address],
        // Each in a mount namespace of its own, that ends with it.
        { launcher: onSmallDisk(disk, '400m') },
      )
      const viewer = new Viewer(programs, { address: relay.address, film: 'film', folder, intervalMs: 8 })
      const at = 20 + Math.floor(chance() * 50)
      await viewer.reached(at)
      const mend = await fault(String(relay.program.pid), disk)
      const newcomer = new Viewer(programs, { address: relay.address, film: 'other', folder, intervalMs: 8 })
      await newcomer.verdict(other, `a film first seen behind a disk that ${what}, seed ${seed}`)
      await viewer.reached(at + 150)
      await mend()
      const mendedAt = await stored(relay)
      await viewer.verdict(film, `a disk that ${what}, seed ${seed}`)
      expect(relay.program.hasEnded).to.equal(false)
      await until(
        'chunks to be kept again',
        async () => {
          await programs.streamer(['--source', relay.address, '-f', 'film', '-o', '/dev/null']).ended
          return stored(relay)
        },
        // On a slow machine all of the film may be there by then, beside some of the other.
        (chunks) => chunks > mendedAt || chunks >= 500,
        20_000,
      )
    })
  }
})

async function stored(relay: NodeProgram): Promise<number> {
  return (await relay.stats()).store?.chunks ?? 0
}
