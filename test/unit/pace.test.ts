import { expect } from 'chai'
import { limits } from '../../lib/base/limits.ts'
import { Pace } from '../../lib/network/pace.ts'

const mib = 1024 * 1024

/** What is known of a peer that gave `count` runs, asked for two at a time, one every `everyMs`. */
function paceOf(everyMs: number, bytes: number, count = 20): Pace {
  const pace = new Pace()
  for (let at = 1; at <= count; at++) pace.record(everyMs * 2, bytes, at * everyMs)
  return pace
}

describe('the pace of a peer', () => {
  it('is unknown at first: a run may be on its way, for long', () => {
    const pace = new Pace()
    expect(pace.lateAfterMs).to.equal(Pace.unknownMs)
    expect(pace.inFlightBytes).to.equal(limits.runBytes)
    expect(pace.silentMs).to.equal(10_000)
  })

  it('lets a whole window be on its way from a fast peer, and calls nothing late that timers may have delayed', () => {
    const pace = paceOf(2, 2 * mib)
    expect(pace.inFlightBytes).to.equal(limits.windowBytes)
    expect(pace.lateAfterMs).to.equal(Pace.leastMs)
    expect(pace.silentMs).to.equal(2000)
  })

  it('keeps what is on its way over a slow line to what comes in half a second', () => {
    expect(paceOf(250, 2 * mib).inFlightBytes, '8 MiB a second').to.be.closeTo(4 * mib, 0.3 * mib)
    const slow = paceOf(1700, 2 * mib)
    expect(slow.inFlightBytes, '10 Mbit/s').to.equal(limits.runBytes)
    expect(slow.lateAfterMs, 'it is slow, not late').to.be.above(3400)
    expect(slow.silentMs, 'three runs').to.be.closeTo((3 * limits.runBytes * 1700) / (2 * mib), 300)
  })

  it('follows a line that becomes slow', () => {
    const pace = paceOf(2, 2 * mib)
    for (let at = 1; at <= 20; at++) pace.record(1700, 2 * mib, 10_000 + at * 1700)
    expect(pace.inFlightBytes).to.be.at.most(limits.runBytes * 1.5)
  })
})
