import { expect } from 'chai'
import { toFailure } from '../../lib/base/errors.ts'
import { Peer } from '../../lib/network/peer.ts'
import { ChaosProxy } from '../support/chaos-proxy.ts'
import { seed } from '../support/figures.ts'
import { publishBytes, streamFrom, TestNetwork } from '../support/network.ts'
import { until } from '../support/until.ts'

describe('the connection for chunks', () => {
  const network = new TestNetwork()
  after(() => network.close())

  it('is made anew when it is dead and the node is not', async () => {
    const source = await network.source()
    await publishBytes(source.directory, 'film', { count: 2, sizeBytes: 5000 })
    const link = await ChaosProxy.before(source.address, seed)
    const peer = new Peer(link.address)
    try {
      await peer.get('film', 0, {})
      peer.answered(5, 5_000_000)
      link.swallow()
      let ended: unknown
      const waiting = peer.get('film', 1, {}).catch((error) => {
        ended = error
      })
      await until(
        'a ping finds the node alive and the connection dead',
        () => peer.ping(200),
        (isAlive) => isAlive && ended !== undefined,
      )
      await waiting
      expect(toFailure(ended).code).to.equal('unreachable')
      expect(await peer.get('film', 1, {})).to.include({ status: 'data', index: 1 })
    } finally {
      await peer.close()
      await link.close()
    }
  })
})

describe('a line that is slower than a ping may be behind chunks', () => {
  const network = new TestNetwork()
  const proxies: ChaosProxy[] = []
  afterEach(async () => {
    for (const proxy of proxies.splice(0)) await proxy.close()
    await network.close()
  })

  for (const [bytesPerSec, spareBytes] of [
    [800_000, 0],
    // The one that has it from its sibling asks the master beside it until it knows that the line is slow for the master, too.
    [300_000, 2_300_000],
  ] as const)
    it(`and carries ${(bytesPerSec * 8) / 1e6} Mbit/s costs a relay neither its master nor the siblings that it names: each chunk crosses it once`, async function () {
      this.timeout(60_000)
      const source = await network.source()
      const film = await publishBytes(source.directory, 'film', { count: 60, sizeBytes: 64 * 1024 })
      // Whatever is above the two relays is behind the line; their master holds the film.
      const above = await ChaosProxy.before(source.address, seed)
      proxies.push(above)
      const mit = await network.relay('mit', [above.address])
      await streamFrom(mit, 'film')
      const line = await ChaosProxy.before(mit.address, seed)
      proxies.push(line)
      const [ben, alyssa] = [
        await network.relay('ben', [line.address, above.address]),
        await network.relay('alyssa', [line.address, above.address]),
      ]
      for (const relay of [ben, alyssa])
        await until(
          'registration',
          () => relay.stats().master,
          (known) => known === line.address,
        )
      for (const proxy of proxies) proxy.weather({ bytesPerSec })
      const carried = () => proxies.reduce((sum, { bytesDown }) => sum + bytesDown, 0)
      const before = carried()
      const streamed = await Promise.all([ben, alyssa].map((relay) => streamFrom(relay, 'film')))
      for (const { sha256 } of streamed) expect(sha256).to.equal(film.sha256)
      const stats = [ben.stats(), alyssa.stats()]
      expect(stats.map(({ master }) => master)).to.deep.equal([line.address, line.address])
      if (spareBytes === 0) expect(stats.map(({ bytesFrom }) => bytesFrom.supermaster)).to.deep.equal([0, 0])
      expect(carried() - before, 'bytes over the line').to.be.below(film.sizeBytes * 1.02 + spareBytes)
    })
})
