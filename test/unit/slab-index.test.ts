import { expect } from 'chai'
import fc from 'fast-check'
import { pickEvictions } from '../../lib/store/eviction.ts'
import type { Extent } from '../../lib/store/extents.ts'
import { SlabIndex } from '../../lib/store/slab-index.ts'

const stream = 'abc/1'
const chunkBytes = 10
const offsetOf = (index: number) => index * chunkBytes

/** Put a run, drop chunks, or remove a slab. */
const step = fc.oneof(
  fc.record({ do: fc.constant('put' as const), first: fc.nat(40), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ do: fc.constant('cut' as const), first: fc.nat(40), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ do: fc.constant('evict' as const), slab: fc.integer({ min: 1, max: 4 }) }),
)

describe('the index of slabs', () => {
  it('holds what a plain map would, says where each chunk lies, and tells every change of a row', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const rows = new Map<number, Extent>()
        const index = new SlabIndex(({ first, extent }) => {
          if (extent) rows.set(first, { ...extent })
          else rows.delete(first)
        })
        const model = new Map<number, { slab: number; at: number }>()
        const ends = new Map<number, number>()
        let slab = 0
        for (const [i, one] of steps.entries()) {
          if (one.do === 'put') {
            if (i % 7 === 0 || !index.slab(slab)) index.addSlab(++slab, stream)
            const end = one.first + one.count
            index.cut(stream, one.first, end, offsetOf)
            const at = ends.get(slab) ?? 0
            const bytes = one.count * chunkBytes
            ends.set(slab, at + bytes)
            index.add(stream, {
              first: one.first,
              count: one.count,
              mediaOffset: offsetOf(one.first),
              bytes,
              slab,
              slabOffset: at,
            })
            for (let n = 0; n < one.count; n++) model.set(one.first + n, { slab, at: at + n * chunkBytes })
          } else if (one.do === 'cut') {
            index.cut(stream, one.first, one.first + one.count, offsetOf)
            for (let n = 0; n < one.count; n++) model.delete(one.first + n)
          } else {
            index.removeSlab(one.slab)
            for (const [chunk, place] of [...model]) if (place.slab === one.slab) model.delete(chunk)
          }
        }
        for (let chunk = 0; chunk < 50; chunk++)
          expect(placeOf(index, chunk), `chunk ${chunk}`).to.deep.equal(model.get(chunk))
        expect(index.totals).to.include({ chunks: model.size, bytes: model.size * chunkBytes })
        const extents = [...(index.stream(stream)?.all() ?? [])]
        expect([...rows.values()].sort((a, b) => a.first - b.first)).to.deep.equal(extents)
      }),
    )
  })

  it('is one extent for a film that was read in order', () => {
    const index = new SlabIndex(() => {})
    index.addSlab(1, stream)
    for (let first = 0; first < 1000; first += 5)
      index.add(stream, {
        first,
        count: 5,
        mediaOffset: offsetOf(first),
        bytes: 50,
        slab: 1,
        slabOffset: offsetOf(first),
      })
    expect(index.stream(stream)?.all()).to.have.length(1)
    expect(index.stream(stream)?.ranges()).to.deep.equal([{ first: 0, end: 1000 }])
  })
})

describe('the choice of what to evict', () => {
  const slabs = [5, 1, 3, 2].map((usedAt) => ({ id: usedAt, stream, bytes: 100, usedAt }))

  it('takes the least recently used, down to the low mark', () => {
    expect(pickEvictions(slabs, new Set(), 400, 400)).to.deep.equal([])
    expect(pickEvictions(slabs, new Set(), 400, 300)).to.deep.equal([1, 2])
    expect(pickEvictions(slabs, new Set(), 400, 0)).to.deep.equal([1, 2, 3, 5])
  })

  it('never takes one that is being written', () => {
    expect(pickEvictions(slabs, new Set([1, 5]), 400, 0)).to.deep.equal([2, 3])
  })
})

function placeOf(index: SlabIndex, chunk: number): { slab: number; at: number } | undefined {
  const extent = index.stream(stream)?.at(chunk)
  return extent && { slab: extent.slab, at: extent.slabOffset + offsetOf(chunk) - extent.mediaOffset }
}
