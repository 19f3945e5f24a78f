import { expect } from 'chai'
import { VirtualClock } from '../../lib/base/virtual-clock.ts'
import { SendQueue } from '../../lib/zerorpc/send-queue.ts'

describe('the send queue of a server', () => {
  let clock: VirtualClock
  let queue: SendQueue
  let sent: string[]
  let gone: string[]
  let reads: Set<string>
  beforeEach(() => {
    clock = new VirtualClock()
    sent = []
    gone = []
    reads = new Set(['good'])
    queue = new SendQueue({
      clock,
      perPeer: { messages: 3, bytes: 1000 },
      onGone: (peer) => gone.push(peer),
      async send([frame]) {
        const text = Buffer.from(frame ?? []).toString()
        const [peer = ''] = text.split(' ')
        if (!reads.has(peer)) throw Object.assign(new Error('would block'), { code: 'EAGAIN' })
        sent.push(text)
      },
    })
  })
  const push = (peer: string, n: number) => queue.push(peer, [Buffer.from(`${peer} ${n}`)])

  it('keeps the order per peer while one does not read, and holds up nobody else', async () => {
    push('slow', 1)
    push('good', 1)
    push('slow', 2)
    push('good', 2)
    await clock.advance(20)
    expect(sent).to.deep.equal(['good 1', 'good 2'])
    let isWoken = false
    void queue.whenReading('slow')?.then(() => {
      isWoken = true
    })
    reads.add('slow')
    await clock.advance(20)
    expect(sent.slice(2)).to.deep.equal(['slow 1', 'slow 2'])
    expect(isWoken).to.equal(true)
    expect(gone).to.deep.equal([])
  })

  it('gives a peer up whose queue is full, and goes on for all others', async () => {
    for (let n = 0; n < 4; n++) push('slow', n)
    await clock.advance(50)
    expect(gone).to.deep.equal(['slow'])
    push('good', 1)
    await clock.advance(50)
    expect(sent).to.deep.equal(['good 1'])
  })
})
