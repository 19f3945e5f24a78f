import { expect } from 'chai'
import { splitAddress } from '../../lib/stream/address.ts'
import { figure, limitMs, note, seed } from '../support/figures.ts'
import { publishBytes, streamFrom, TestNetwork } from '../support/network.ts'

describe(`a source that comes back to many relays that wait for it (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  const network = new TestNetwork()
  afterEach(() => network.close())

  it('sends each chunk about once', async () => {
    const waiting = Math.max(20, Math.min(50, figure(20, 50)))
    const before = await network.source()
    const film = await publishBytes(before.directory, 'film', { count: 120, sizeBytes: 32 * 1024, seed })
    const names = Array.from({ length: waiting }, (_, i) => `relay-${i}`)
    const relays = await Promise.all(names.map((name) => network.relay(name, [before.address])))
    let away: Promise<void> | undefined
    let sentBefore = 0
    let back: ReturnType<TestNetwork['source']> | undefined
    const leaveAndReturn = (soFar: number) => {
      if (away || soFar < film.sizeBytes / 3) return
      sentBefore = before.stats().bytesSent
      away = before.close()
      const { port } = splitAddress(before.address)
      back = away.then(() => network.source({ port: Number(port), videoDatabase: before.directory }))
    }
    const outputs = await Promise.all(
      relays.map((relay) => streamFrom(relay, 'film', { intervalMs: 5, onBytes: leaveAndReturn })),
    )
    for (const { sha256 } of outputs) expect(sha256, `seed ${seed}`).to.equal(film.sha256)
    const copies = (sentBefore + ((await back)?.stats().bytesSent ?? Number.NaN)) / film.sizeBytes
    const worstStallMs = Math.max(...outputs.map(({ summary }) => summary.longestStallMs))
    expect(copies, `copies sent by the source, seed ${seed}`).to.be.at.most(1.2)
    expect(worstStallMs, `seed ${seed}`).to.be.at.most(5000)
    note({ what: 'returns', count: waiting, lost: 0, repeated: 0, wrong: 0, worstStallMs, also: { copies } })
  })
})
