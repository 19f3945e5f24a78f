import { expect } from 'chai'
import { Dealer } from 'zeromq'
import { encodeEvent } from '../../lib/zerorpc/event.ts'
import { publishBytes, streamFrom, TestNetwork } from '../support/network.ts'
import { seededChance } from '../support/seeded.ts'

describe('memory of runs that is used again', () => {
  const network = new TestNetwork()
  afterEach(() => network.close())

  it('is never that of a run still on its way, whatever the pace of readers and the lies of a stranger', async function () {
    this.timeout(60_000)
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 400, sizeBytes: 100_000 })
    const relay = await network.relay('relay', [source.address])
    const liar = new Dealer({ linger: 0 })
    liar.connect(relay.address)
    let isOver = false
    let answers = 0
    const reading = (async () => {
      for await (const _ of liar) answers++
    })()
    // Says of each reply that it was read before it can have been sent.
    const lying = (async () => {
      for (let n = 0; !isOver; n++) {
        const header = { message_id: `lie-${n}`, v: 3 as const, pf: 0, got: [`lie-${n - 1}`, `lie-${n}`] }
        await liar.send(['', encodeEvent({ header, name: 'get', args: ['film', (n * 7) % 400, { count: 10 }] })])
        while (n - answers > 50 && !isOver) await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    const chance = seededChance(5)
    for (let round = 0; round < 3; round++) {
      const paces = Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? {} : { intervalMs: Math.ceil(chance() * 4) }))
      const outputs = await Promise.all(paces.map((pace) => streamFrom(relay, 'film', pace)))
      for (const { sha256, summary } of outputs) {
        expect(sha256).to.equal(film.sha256)
        expect(summary.badChunks, 'a run that came wrong and was fetched again').to.equal(0)
      }
    }
    expect(relay.stats().badChunks).to.equal(0)
    isOver = true
    await lying
    liar.close()
    await reading
    expect(answers).to.be.greaterThan(100)
  })
})
