import { expect } from 'chai'
import { digestOf } from '../../lib/base/digest.ts'
import type { ChunkEvent } from '../../lib/streamer/event-log.ts'
import { expectPromise, judge } from '../support/judge.ts'

const chunks = ['one', 'two', 'three', 'four'].map((text) => Buffer.from(text))
const event = (index: number, done: number, text?: string): ChunkEvent => ({
  index,
  digest: digestOf(text === undefined ? (chunks[index] ?? Buffer.alloc(0)) : Buffer.from(text)).toString('hex'),
  asked: 0,
  done,
  from: 'tcp://127.0.0.1:1',
})

describe('the judge of event logs', () => {
  it('finds nothing to blame in a whole stream', () => {
    const verdict = judge([event(0, 10), event(1, 20), event(2, 70), event(3, 80)], chunks)
    expect(verdict).to.deep.include({ delivered: 4, longestGapMs: 50, from: { 'tcp://127.0.0.1:1': 4 } })
    expectPromise(verdict, 'whole')
  })

  it('names what is lost, repeated, out of order and wrong', () => {
    expect(judge([event(0, 1), event(1, 2), event(3, 3)], chunks).lost).to.deep.equal([2])
    expect(judge([event(2, 1)], chunks, 2).lost).to.deep.equal([3])
    expect(judge([event(0, 1), event(1, 2), event(1, 3)], chunks).repeated).to.deep.equal([1])
    expect(judge([event(0, 1), event(2, 2), event(1, 3), event(3, 4)], chunks).disordered).to.deep.equal([1])
    expect(judge([event(0, 1), event(1, 2, 'other')], chunks).wrong).to.deep.equal([1])
    expect(judge([event(0, 1), event(9, 2)], chunks).wrong).to.deep.equal([9])
  })

  it('does not count the time between a kill and the start after it', () => {
    expect(judge([event(0, 9000), event(1, 9010), event(2, 400), event(3, 420)], chunks).longestGapMs).to.equal(20)
  })

  it('refuses each of them, and a stall that is too long', () => {
    const whole = judge([event(0, 1), event(1, 2), event(2, 3), event(3, 4)], chunks)
    for (const fault of ['lost', 'repeated', 'disordered', 'wrong'] as const)
      expect(() => expectPromise({ ...whole, [fault]: [1] }, fault), fault).to.throw()
    expect(() => expectPromise({ ...whole, longestGapMs: 5001 }, 'stall')).to.throw()
  })
})
