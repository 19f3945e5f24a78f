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

  it('costs a relay neither its master nor the siblings that it names: each chunk crosses it once', async function () {
    this.timeout(60_000)
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 60, sizeBytes: 64 * 1024 })
    const mit = await network.relay('mit', [source.address])
    const link = await ChaosProxy.before(mit.address, seed)
    proxies.push(link)
    const [ben, alyssa] = [
      await network.relay('ben', [link.address, source.address]),
      await network.relay('alyssa', [link.address, source.address]),
    ]
    for (const relay of [ben, alyssa])
      await until(
        'registration',
        () => relay.stats().master,
        (master) => master === link.address,
      )
    link.weather({ bytesPerSec: 800_000 })
    const streamed = await Promise.all([ben, alyssa].map((relay) => streamFrom(relay, 'film')))
    for (const { sha256 } of streamed) expect(sha256).to.equal(film.sha256)
    const stats = [ben.stats(), alyssa.stats()]
    expect(stats.map(({ master }) => master)).to.deep.equal([link.address, link.address])
    expect(stats.map(({ bytesFrom }) => bytesFrom.supermaster)).to.deep.equal([0, 0])
    const crossed = stats.reduce((sum, { bytesFrom }) => sum + bytesFrom.master, 0)
    expect(crossed / film.sizeBytes, 'copies over the line').to.be.below(1.3)
  })
})
