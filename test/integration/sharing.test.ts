import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.ts'
import { Peers } from '../../lib/network/peers.ts'
import { ForgedMaster } from '../support/forged-master.ts'
import { copiesSent, publishBytes, streamFrom, TestNetwork } from '../support/network.ts'
import { until } from '../support/until.ts'

describe('a tree of relays', () => {
  const network = new TestNetwork()
  const peers = new Peers(systemClock)
  let master: ForgedMaster | undefined
  after(() => peers.close())
  afterEach(async () => {
    await network.close()
    await master?.close()
    master = undefined
  })

  it('takes one copy from the source for four streamers behind six cold relays', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 60, sizeBytes: 256 * 1024 })
    const mit = await network.relay('mit', [source.address])
    const harvard = await network.relay('harvard', [source.address])
    const leaves = await Promise.all([
      network.relay('ben', [mit.address, source.address]),
      network.relay('alyssa', [mit.address, source.address]),
      network.relay('john', [harvard.address, source.address]),
      network.relay('lawrence', [harvard.address, source.address]),
    ])
    const outputs = await Promise.all(leaves.map((leaf) => streamFrom(leaf, 'film')))
    for (const output of outputs) expect(output.sha256).to.equal(film.sha256)
    expect(copiesSent(source.stats(), film)).to.be.at.least(1).and.at.most(1.1)
    const sibling = leaves.reduce((sum, leaf) => sum + leaf.stats().bytesFrom.sibling, 0)
    expect(sibling, 'leaves gave each other').to.be.greaterThan(0)
  })

  it('takes one copy for eight cold relays under one master, all streaming at once', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 40, sizeBytes: 256 * 1024 })
    const relays = await Promise.all(Array.from({ length: 8 }, (_, i) => network.relay(`relay-${i}`, [source.address])))
    const outputs = await Promise.all(relays.map((relay) => streamFrom(relay, 'film')))
    for (const output of outputs) expect(output.sha256).to.equal(film.sha256)
    expect(copiesSent(source.stats(), film)).to.be.at.least(1).and.at.most(1.05)
  })

  it('serves from its store what it fetched once, also after a restart, and announces it to siblings', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 20, sizeBytes: 100_000 })
    const first = await network.relay('first', [source.address])
    await streamFrom(first, 'film')
    await first.close()
    const again = await network.relay('first', [source.address], { chunkDirectory: first.directory })
    await until(
      'the report',
      () => source.stats().children[0]?.chunks,
      (chunks) => chunks === 20,
    )
    const second = await network.relay('second', [source.address])
    const output = await streamFrom(second, 'film')
    expect(output.sha256).to.equal(film.sha256)
    expect(copiesSent(source.stats(), film)).to.equal(1)
    expect(again.stats().bytesFrom).to.deep.include({ store: film.sizeBytes, master: 0, supermaster: 0 })
    expect(second.stats().bytesFrom).to.deep.include({ sibling: film.sizeBytes, master: 0 })
  })

  it('asks a sibling that the master refers to when it does not say in time whom to ask', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 20, sizeBytes: 100_000 })
    const sibling = await network.relay('sibling', [source.address])
    await streamFrom(sibling, 'film')
    master = await ForgedMaster.start(source.address, {
      pages: ([name, from, count, epoch]) =>
        peers.at(source.address).pages(String(name), Number(from), Number(count), Number(epoch)),
      query: () => {
        throw new Error('too busy')
      },
      get: ([, , options]) =>
        (options as { refer?: boolean }).refer
          ? { status: 'refer', peers: [sibling.address] }
          : { status: 'later', retryMs: 100 },
    })
    const relay = await network.relay('relay', [master.address])
    expect((await streamFrom(relay, 'film')).sha256).to.equal(film.sha256)
    expect(relay.stats().bytesFrom).to.deep.include({ sibling: film.sizeBytes, supermaster: 0 })
  })

  it('moves chunks of a few bytes as ranges', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 5000, sizeBytes: 1000 })
    const relay = await network.relay('relay', [source.address])
    const output = await streamFrom(relay, 'film')
    expect(output.sha256).to.equal(film.sha256)
    expect(output.summary.chunks).to.equal(5000)
    expect(relay.stats().chunksReceived).to.equal(5000)
  })
})
