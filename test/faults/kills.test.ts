import { join } from 'node:path'
import { expect } from 'chai'
import { pause, systemClock } from '../../lib/base/clock.ts'
import { Peers } from '../../lib/network/peers.ts'
import { limitMs, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import type { Verdict } from '../support/judge.ts'
import { type Published, publishBytes } from '../support/network.ts'
import { MortalNode, TestPrograms } from '../support/programs.ts'
import { seededChance } from '../support/seeded.ts'
import { until } from '../support/until.ts'
import { noteVerdicts, rounds, Viewer } from '../support/viewer.ts'

/** Together more than the window of a streamer, or a kill would be met by its buffer. */
const shape = { count: 500, sizeBytes: 96 * 1024 }
const intervalMs = 8
const killsAFilm = 5

describe(`killed with SIGKILL (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  const chance = seededChance(seed)
  const between = (low: number, high: number) => Math.floor(low + chance() * (high - low))
  let programs: TestPrograms
  let folder = ''
  let source: MortalNode
  beforeEach(async () => {
    programs = new TestPrograms()
    folder = await makeFolder()
    await publishBytes(join(folder, 'data'), 'nothing', { count: 1, sizeBytes: 1000 })
    source = await MortalNode.start(programs, 'source', ['--videodatabase', join(folder, 'data')])
  })
  afterEach(async () => {
    await programs.close()
    await removeFolders()
  })

  const relay = (name: string, master: string) =>
    MortalNode.start(programs, name, [
      ...['--chunkdirectory', join(folder, name), '--capacity', '200m'],
      ...['--master', master, '--supermaster', source.address],
    ])
  const publish = (round: number): Promise<Published> =>
    publishBytes(join(folder, 'data'), `film-${round}`, { ...shape, seed: seed + round })
  const view = (node: { address: string }, round: number, name?: string) =>
    new Viewer(programs, { address: node.address, film: `film-${round}`, folder, intervalMs, name })

  it('a relay amid a transfer costs its streamers nothing but a stall, and comes back to its store and its children', async () => {
    const mit = await relay('mit', source.address)
    const [ben, alyssa] = [await relay('ben', mit.address), await relay('alyssa', mit.address)]
    for (const [round, kills] of rounds(5, 200, killsAFilm).entries()) {
      const film = await publish(round)
      const viewers = [view(ben, round, 'at-ben'), view(alyssa, round, 'at-alyssa')]
      for (let kill = 0; kill < kills; kill++) {
        const victim = [mit, ben, alyssa][between(0, 3)] ?? mit
        const at = 20 + kill * 90 + between(0, 30)
        await Promise.all(viewers.map((viewer) => viewer.reached(at)))
        await victim.kill()
        // It comes back only when the streamers went on without it.
        await Promise.all(viewers.map((viewer) => viewer.reached(at + between(10, 30))))
        await victim.startAgain()
        await until(
          'the registration',
          () => victim.stats(),
          ({ master }) => master !== null,
        )
      }
      noteVerdicts('kills', kills, await verdicts(viewers, film))
    }
  })

  it('the source makes new chunks wait, with a time to ask again, and all goes on when it is back', async () => {
    const mit = await relay('mit', source.address)
    const ben = await relay('ben', mit.address)
    const peers = new Peers(systemClock)
    for (const [round, kills] of rounds(5, 200, killsAFilm).entries()) {
      const film = await publish(round)
      const viewers = [view(ben, round)]
      let longestOutageMs = 0
      for (let kill = 0; kill < kills; kill++) {
        await Promise.all(viewers.map((viewer) => viewer.reached(20 + kill * 90 + between(0, 60))))
        const killedAt = performance.now()
        await source.kill()
        if (kill === 0) {
          const answer = await peers.at(ben.address).get(`film-${round}`, shape.count - 1, { waitMs: 200 })
          expect(answer, 'a chunk that nobody has').to.include({ status: 'later' })
        }
        await pause(systemClock, between(100, 1200))
        await source.startAgain()
        longestOutageMs = Math.max(longestOutageMs, performance.now() - killedAt)
      }
      // Nobody else has the chunk: on a slow machine, on which a source takes seconds to start, the stall cannot be shorter than that.
      const mostStallMs = Math.max(5000, longestOutageMs + 3000)
      noteVerdicts('kills', kills, await verdicts(viewers, film, mostStallMs))
    }
    await peers.close()
  })

  it('a streamer goes on with --resume behind its last whole chunk', async () => {
    const mit = await relay('mit', source.address)
    for (const [round, kills] of rounds(5, 200, killsAFilm).entries()) {
      const film = await publish(round)
      const viewer = view(mit, round)
      for (let kill = 0; kill < kills; kill++) {
        await viewer.reached(20 + kill * 90 + between(0, 80))
        viewer.signal('SIGKILL')
        await viewer.ended()
        viewer.resume()
      }
      noteVerdicts('kills', kills, await verdicts([viewer], film))
    }
  })

  function verdicts(viewers: Viewer[], film: Published, mostStallMs?: number): Promise<Verdict[]> {
    return Promise.all(viewers.map((viewer) => viewer.verdict(film, `seed ${seed}`, mostStallMs)))
  }
})
