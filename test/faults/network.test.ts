import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.ts'
import { toFailure } from '../../lib/base/errors.ts'
import { Peers } from '../../lib/network/peers.ts'
import { ChaosProxy, type Weather } from '../support/chaos-proxy.ts'
import { limitMs, seed } from '../support/figures.ts'
import { makeFolder } from '../support/folders.ts'
import { publishBytes, TestNetwork } from '../support/network.ts'
import { TestPrograms } from '../support/programs.ts'
import { seededChance } from '../support/seeded.ts'
import { until } from '../support/until.ts'
import { noteVerdicts, rounds, Viewer } from '../support/viewer.ts'

const shape = { count: 400, sizeBytes: 96 * 1024 }
const intervalMs = 6

describe(`a bad link between a relay and its master (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  const chance = seededChance(seed)
  const network = new TestNetwork()
  const programs = new TestPrograms()
  const proxies: ChaosProxy[] = []
  const peers = new Peers(systemClock)
  afterEach(async () => {
    await programs.close()
    for (const proxy of proxies.splice(0)) await proxy.close()
    await network.close()
    await peers.close()
  })

  const weathers: [string, (proxy: ChaosProxy) => void][] = [
    ['is ten times slower than the stream', (proxy) => proxy.weather({ bytesPerSec: 1_600_000 })],
    ['is late by 300 to 900 ms', (proxy) => proxy.weather({ delayMs: 300, jitterMs: 600 })],
    ['carries nothing', (proxy) => proxy.weather({ blackHole: true })],
    ['carries nothing back', (proxy) => proxy.weatherDown({ blackHole: true })],
    ['carries nothing there', (proxy) => proxy.weatherUp({ blackHole: true })],
    ['resets its connections', (proxy) => proxy.reset()],
    ['flips bits', (proxy) => proxy.weather({ flipEvery: 300_000 } satisfies Partial<Weather>)],
  ]

  it('costs a streamer nothing but a stall, and the relay returns when it is good again', async () => {
    const source = await network.source()
    const mit = await network.relay('mit', [source.address])
    const link = await ChaosProxy.before(mit.address, seed)
    proxies.push(link)
    const ben = await network.relay('ben', [link.address, source.address], { returnStableMs: 300 })
    const folder = await makeFolder()
    for (const round of rounds(weathers.length, 240, 1).keys()) {
      const [what, begin] = weathers[round % weathers.length] ?? ['', () => {}]
      await until(
        `the return of the relay after round ${round}`,
        () => ben.stats().master,
        (master) => master === link.address,
        20_000,
      )
      const name = `film-${round}`
      const film = await publishBytes(source.directory, name, { ...shape, seed: seed + round })
      const viewer = new Viewer(programs, { address: ben.address, film: name, folder, intervalMs })
      const at = 10 + Math.floor(chance() * 100)
      await viewer.reached(at)
      begin(link)
      await viewer.reached(at + 150)
      link.weather({})
      const verdict = await viewer.verdict(film, `the link ${what}; seed ${seed}, round ${round}`)
      noteVerdicts('network faults', 1, [verdict])
    }
    expect(link.flips, 'bits were flipped').to.be.greaterThan(0)
  })

  it('is replaced when it lost the beginnings of its frames', async () => {
    const source = await network.source()
    await publishBytes(source.directory, 'film', { count: 1, sizeBytes: 50_000 })
    const link = await ChaosProxy.before(source.address, seed)
    proxies.push(link)
    const ben = await network.relay('ben', [link.address])
    await until(
      'registration',
      () => ben.stats().master,
      (master) => master !== null,
    )
    // The head of a frame of 16 MiB: all that comes after it is swallowed.
    link.inject(Uint8Array.of(2, 0, 0, 0, 0, 1, 0, 0, 0))
    await until(
      'a chunk through the relay',
      () => peers.at(ben.address).get('film', 0, { waitMs: 500 }).catch(toFailure),
      (got) => 'status' in got && got.status === 'data',
    )
  })
})
