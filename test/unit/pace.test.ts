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
  it('is unknown at first: a short run may be on its way, for long', () => {
    const pace = new Pace()
    expect(pace.lateAfterMs(2 * mib)).to.equal(Pace.unknownMs)
    expect(pace.expectedMs(2 * mib)).to.equal(0)
    expect(pace.inFlightBytes).to.equal(limits.firstRunBytes)
    expect(pace.silentMs).to.equal(10_000)
  })

  it('lets a whole window be on its way from a fast peer, and calls nothing late that timers may have delayed', () => {
    const pace = paceOf(2, 2 * mib)
    expect(pace.inFlightBytes).to.equal(limits.windowBytes)
    expect(pace.lateAfterMs(2 * mib)).to.equal(Pace.leastMs)
    expect(pace.silentMs).to.equal(2000)
  })

  it('keeps what is on its way over a slow line to what comes in half a second', () => {
    expect(paceOf(250, 2 * mib).inFlightBytes, '8 MiB a second').to.be.closeTo(4 * mib, 0.3 * mib)
    const slow = paceOf(1700, 2 * mib)
    expect(slow.inFlightBytes, '10 Mbit/s').to.be.closeTo(mib * 0.6, mib * 0.1)
    expect(slow.lateAfterMs(2 * mib), 'it is slow, not late').to.be.above(3400)
    expect(slow.silentMs, 'three runs').to.be.closeTo((3 * limits.runBytes * 1700) / (2 * mib), 300)
  })

  it('expects a longer run to take longer', () => {
    const pace = new Pace()
    pace.record(1000, mib / 4, 1000)
    expect(pace.expectedMs(2 * mib)).to.be.closeTo(8000, 1)
    expect(pace.lateAfterMs(2 * mib)).to.be.closeTo(16_000, 1)
  })

  it('is at least what another outran, until a run came', () => {
    const pace = new Pace()
    pace.outlasted(4000, mib)
    pace.outlasted(1, mib)
    expect(pace.expectedMs(2 * mib)).to.be.closeTo(8000, 1)
    expect(pace.lateAfterMs(2 * mib)).to.equal(Pace.unknownMs)
    pace.record(10, mib, 10)
    expect(pace.expectedMs(2 * mib)).to.be.closeTo(20, 1)
  })

  it('follows a line that becomes slow, and one that becomes fast', () => {
    const pace = paceOf(2, 2 * mib)
    for (let at = 1; at <= 5; at++) pace.record(1700, 2 * mib, 10_000 + at * 1700)
    expect(pace.inFlightBytes).to.be.at.most(mib)
    expect(pace.expectedMs(2 * mib), 'of 1700').to.be.above(1200)
    for (let at = 1; at <= 5; at++) pace.record(2, 2 * mib, 30_000 + at * 2)
    expect(pace.inFlightBytes, 'and fast again').to.equal(limits.windowBytes)
  })
})
