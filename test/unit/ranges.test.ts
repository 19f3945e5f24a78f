import { expect } from 'chai'
import fc from 'fast-check'
import { RangeSet } from '../../lib/stream/ranges.ts'

const operation = fc.record({ add: fc.boolean(), first: fc.nat(60), count: fc.nat(20) })

describe('a set of ranges', () => {
  it('holds exactly what a set of numbers holds, in ranges that do not touch', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const ranges = new RangeSet()
        const numbers = new Set<number>()
        for (const { add, first, count } of operations) {
          if (add) ranges.add(first, first + count)
          else ranges.remove(first, first + count)
          for (let n = first; n < first + count; n++) add ? numbers.add(n) : numbers.delete(n)
        }
        for (let n = 0; n < 90; n++) expect(ranges.has(n)).to.equal(numbers.has(n))
        const list = ranges.list()
        for (let i = 1; i < list.length; i++) expect(list[i]?.[0]).to.be.above(list[i - 1]?.[1] ?? 0)
        expect(list.reduce((sum, [first, end]) => sum + end - first, 0)).to.equal(numbers.size)
      }),
    )
  })

  it('covers a range only when all of it is held', () => {
    const ranges = new RangeSet()
    ranges.add(2, 5)
    ranges.add(5, 7)
    expect(ranges.covers(2, 7)).to.equal(true)
    expect(ranges.covers(1, 3)).to.equal(false)
    expect(ranges.covers(6, 8)).to.equal(false)
  })
})
