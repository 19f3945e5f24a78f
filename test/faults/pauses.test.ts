import { join } from 'node:path'
import { pause, systemClock } from '../../lib/base/clock.ts'
import { limitMs, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { publishBytes } from '../support/network.ts'
import { MortalNode, TestPrograms } from '../support/programs.ts'
import { seededChance } from '../support/seeded.ts'
import { noteVerdicts, rounds, Viewer } from '../support/viewer.ts'

/** All of them are held before the next film begins, and every fault finds a streamer at its own relay. */
const pausesAFilm = 1
const shape = { count: 400, sizeBytes: 96 * 1024 }

describe(`paused with SIGSTOP (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  const chance = seededChance(seed)
  const programs = new TestPrograms()
  afterEach(async () => {
    await programs.close()
    await removeFolders()
  })

  it('a relay, a streamer’s own relay or the source is passed by, and what it says late does no harm', async () => {
    const folder = await makeFolder()
    await publishBytes(join(folder, 'data'), 'nothing', { count: 1, sizeBytes: 1000 })
    const source = await MortalNode.start(programs, 'source', ['--videodatabase', join(folder, 'data')])
    const relay = (name: string, master: string) =>
      MortalNode.start(programs, name, [
        ...['--chunkdirectory', join(folder, name), '--capacity', '200m'],
        ...['--master', master, '--supermaster', source.address],
      ])
    const mit = await relay('mit', source.address)
    const ben = await relay('ben', mit.address)
    for (const round of rounds(3, 120, pausesAFilm).keys()) {
      const name = `film-${round}`
      const film = await publishBytes(join(folder, 'data'), name, { ...shape, seed: seed + round })
      const viewer = new Viewer(programs, { address: ben.address, film: name, folder, intervalMs: 6 })
      const at = 20 + Math.floor(chance() * 100)
      await viewer.reached(at)
      const victim = [mit, ben, source][round % 3] ?? mit
      victim.signal('SIGSTOP')
      // Without the source there is nobody to go on with; without a relay there is.
      if (victim === source) await pause(systemClock, 500 + chance() * 1500)
      else await viewer.reached(at + 120)
      victim.signal('SIGCONT')
      noteVerdicts('network faults', 1, [await viewer.verdict(film, `seed ${seed}, round ${round}`)])
    }
  })
})
