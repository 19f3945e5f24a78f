import { join } from 'node:path'
import { isFull, limitMs, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { Lab } from '../support/lab.ts'
import { publishBytes } from '../support/network.ts'
import { TestPrograms } from '../support/programs.ts'
import { seededChance } from '../support/seeded.ts'
import { noteVerdicts, rounds, Viewer } from '../support/viewer.ts'

const shape = { count: 400, sizeBytes: 96 * 1024 }
/** Chunks that a streamer plays while hosts are cut from each other: more than it and its relay have fetched ahead. */
const chunksAmid = 200
/** How long hosts are cut from each other, ms. */
const leastCutMs = 2000
const mostCutMs = isFull ? 60_000 : leastCutMs

describe(`a partition between hosts (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  const chance = seededChance(seed)
  const programs = new TestPrograms()
  let lab: Lab
  before(async () => {
    lab = await Lab.open()
  })
  after(async () => {
    await programs.close()
    await lab.close()
    await removeFolders()
  })

  it('of a relay from its master, both ways or one, costs a streamer nothing but a stall', async () => {
    const folder = await makeFolder()
    await publishBytes(join(folder, 'data'), 'nothing', { count: 1, sizeBytes: 1000 })
    const start = (name: string, host: string, args: string[]) =>
      programs.node(name, ['--ip', lab.host(host), '--port', '7000', ...args], { launcher: lab.at(host) })
    const source = await start('source', 'hsource', ['--videodatabase', join(folder, 'data')])
    const mit = await start('mit', 'hmit', ['--chunkdirectory', join(folder, 'mit'), '--master', source.address])
    const cuts: [string, string][][] = [
      [
        ['hben', 'hmit'],
        ['hmit', 'hben'],
      ],
      [['hben', 'hmit']],
      [['hmit', 'hben']],
      [['hmit', 'hsource']],
    ]
    for (const round of rounds(3, 120, 1).keys()) {
      // A relay that is new each time hangs at its master, not above it for another 30 s.
      const host = `hben`
      const ben = await (round === 0 ? start('ben', host, benArgs(round)) : restart(round))
      const name = `film-${round}`
      const film = await publishBytes(join(folder, 'data'), name, { ...shape, seed: seed + round })
      // Short ones are more frequent than long ones.
      const cutMs = leastCutMs * (mostCutMs / leastCutMs) ** (chance() ** 2)
      const intervalMs = Math.ceil(cutMs / chunksAmid)
      const options = { address: ben.address, film: name, folder, intervalMs, launcher: lab.at(host) }
      const viewer = new Viewer(programs, options)
      const at = 10 + Math.floor(chance() * 100)
      await viewer.reached(at)
      const cut = cuts[(round + seed) % cuts.length] ?? []
      for (const [from, to] of cut) lab.cut(from, to)
      await viewer.reached(at + chunksAmid, cutMs + 30_000)
      for (const [from, to] of cut) lab.mend(from, to)
      const verdict = await viewer.verdict(
        film,
        `cut ${cut.join(' and ')} for ${cutMs} ms; seed ${seed}, round ${round}`,
      )
      noteVerdicts('network faults', 1, [verdict])
      await ben.program.stop()
    }

    function benArgs(round: number): string[] {
      return [
        ...['--chunkdirectory', join(folder, `ben-${round}`)],
        ...['--master', mit.address, '--supermaster', source.address],
      ]
    }

    function restart(round: number) {
      const args = ['--ip', addressOfBen, '--port', String(7000 + round), ...benArgs(round)]
      return programs.node('ben', args, { launcher: lab.at('hben') })
    }
  })
})

/** The third host of the lab. */
const addressOfBen = '10.77.3.2'
