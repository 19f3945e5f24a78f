import { join } from 'node:path'
import { expect } from 'chai'
import { pause, systemClock } from '../../lib/base/clock.ts'
import { ChaosProxy } from '../support/chaos-proxy.ts'
import { damageOne } from '../support/damage.ts'
import { type DiskFault, full, inputOutputError, noMoreFiles, onSmallDisk, readOnly } from '../support/disk-faults.ts'
import { limitMs, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { publishBytes } from '../support/network.ts'
import { MortalNode, TestPrograms } from '../support/programs.ts'
import { seededChance } from '../support/seeded.ts'
import { noteVerdicts, rounds, Viewer } from '../support/viewer.ts'

/** A round: faults for so long, then none, ms. */
const faultsMs = 30_000
/** All is steady so long after the last fault (FAULTS.md), ms: then chunks come within `steadyGapMs`. */
const steadyAfterMs = 15_000
const steadyGapMs = 1000
const intervalMs = 20
const shape = { count: 2700, sizeBytes: 96 * 1024 }

interface Fault {
  what: string
  /** The node that must have no other fault meanwhile. */
  node?: MortalNode
  leastMs: number
  mostMs: number
  /** What it returns ends the fault. */
  begin(): Promise<() => Promise<void> | void>
}

describe(`all faults mixed (seed ${seed})`, function () {
  this.timeout(limitMs(120_000))
  const chance = seededChance(seed)
  const between = (least: number, most: number) => least + chance() * (most - least)
  const pick = <T>(from: T[]): T => from[Math.floor(chance() * from.length)] as T
  const programs = new TestPrograms()
  const proxies: ChaosProxy[] = []
  afterEach(async () => {
    await programs.close()
    for (const proxy of proxies.splice(0)) await proxy.close()
    await removeFolders()
  })

  it('cost streamers nothing but stalls, and all is steady 15 s after the last', async () => {
    const folder = await makeFolder()
    const disk = await makeFolder()
    await publishBytes(join(folder, 'data'), 'nothing', { count: 1, sizeBytes: 1000 })
    const source = await MortalNode.start(programs, 'source', ['--videodatabase', join(folder, 'data')])
    const relay = async (name: string, master: string, chunks: string, launcher: string[] = []) => {
      const link = await ChaosProxy.before(master, seed)
      proxies.push(link)
      const upward = ['--master', link.address, '--supermaster', source.address]
      return MortalNode.start(programs, name, ['--chunkdirectory', chunks, '--capacity', '200m', ...upward], {
        launcher,
      })
    }
    const mit = await relay('mit', source.address, join(folder, 'mit'))
    const ben = await relay('ben', mit.address, join(folder, 'ben'))
    const alyssa = await relay('alyssa', mit.address, join(disk, 'chunks'), onSmallDisk(disk, '400m'))

    const ofNodes = (): Fault[] => [
      ...[mit, ben, alyssa].map((node) => killed(node, 300, 2000)),
      ...[mit, ben, alyssa].map((node) => paused(node, 300, 4000)),
      killed(source, 100, 1000),
      paused(source, 200, 1500),
      killed(ben, 300, 2000, join(folder, 'ben')),
      killed(mit, 300, 2000, join(folder, 'mit')),
    ]
    const ofLinksAndDisks = (): Fault[] => [
      ...proxies.flatMap((link) => weathers(link)),
      ...[inputOutputError, noMoreFiles].flatMap((fault) => [broken(mit, fault), broken(ben, fault)]),
      ...[full, readOnly].map((fault) => broken(alyssa, fault, disk)),
    ]

    for (const round of rounds(1, 180, 1).keys()) {
      const name = `film-${round}`
      const film = await publishBytes(join(folder, 'data'), name, { ...shape, seed: seed + round })
      const viewers = [ben, alyssa].map(
        ({ address, name: at }) => new Viewer(programs, { address, film: name, folder, name: `at-${at}`, intervalMs }),
      )
      await Promise.all(viewers.map((viewer) => viewer.reached(50)))
      const done: string[] = []
      const endsAt = systemClock.now() + faultsMs
      const busy = new Set<MortalNode>()
      // Two faults at a time, never two of one node.
      await Promise.all([work(ofNodes(), endsAt, busy, done), work(ofLinksAndDisks(), endsAt, busy, done)])
      await pause(systemClock, steadyAfterMs)
      const steadyFrom = await Promise.all(viewers.map((viewer) => viewer.lastIndex()))
      const what = `${done.join(', ')}; seed ${seed}, round ${round}`
      expect(Math.max(...steadyFrom), `${what}: the film goes on`).to.be.lessThan(shape.count - 100)
      const verdicts = await Promise.all(viewers.map((viewer) => viewer.verdict(film, what)))
      for (const [i, viewer] of viewers.entries())
        expect(await viewer.longestGapFrom(steadyFrom[i] ?? 0), `${what}: steady`).to.be.at.most(steadyGapMs)
      noteVerdicts('mixed faults', done.length, verdicts)
    }
  })

  /** One fault after another. */
  async function work(faults: Fault[], endsAt: number, busy: Set<MortalNode>, done: string[]): Promise<void> {
    while (systemClock.now() < endsAt) {
      const fault = pick(faults.filter(({ node }) => !node || !busy.has(node)))
      if (fault.node) busy.add(fault.node)
      const end = await fault.begin()
      await pause(systemClock, between(fault.leastMs, fault.mostMs))
      await end()
      if (fault.node) busy.delete(fault.node)
      done.push(fault.what)
      await pause(systemClock, between(300, 2000))
    }
  }

  function killed(node: MortalNode, leastMs: number, mostMs: number, store?: string): Fault {
    const begin = async () => {
      await node.kill()
      if (store) await damageOne(store, chance)
      return () => node.startAgain()
    }
    return { what: `${node.name} killed${store ? ' and its store damaged' : ''}`, node, leastMs, mostMs, begin }
  }

  function paused(node: MortalNode, leastMs: number, mostMs: number): Fault {
    const begin = async () => {
      node.signal('SIGSTOP')
      return () => node.signal('SIGCONT')
    }
    return { what: `${node.name} paused`, node, leastMs, mostMs, begin }
  }

  function broken(node: MortalNode, fault: DiskFault, disk = ''): Fault {
    return {
      what: `the disk of ${node.name}: ${fault.name}`,
      node,
      leastMs: 500,
      mostMs: 4000,
      begin: () => fault(node.pid, disk),
    }
  }

  function weathers(link: ChaosProxy): Fault[] {
    const kinds: [string, () => void][] = [
      ['slow', () => link.weather({ bytesPerSec: 1_600_000 })],
      ['late', () => link.weather({ delayMs: 300, jitterMs: 600 })],
      ['black', () => link.weather({ blackHole: true })],
      ['black one way', () => link.weatherUp({ blackHole: true })],
      ['black the other way', () => link.weatherDown({ blackHole: true })],
      ['reset', () => link.reset()],
      ['flipping bits', () => link.weather({ flipEvery: 300_000 })],
    ]
    return kinds.map(([what, begin]) => ({
      what: `a link ${what}`,
      leastMs: 500,
      mostMs: 4000,
      begin: async () => {
        begin()
        return () => link.weather({})
      },
    }))
  }
})
