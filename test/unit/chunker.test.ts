import { expect } from 'chai'
import fc from 'fast-check'
import { ByteChunker, FragmentChunker, type MadeChunk } from '../../lib/media/chunker.ts'
import { chunkStart } from '../../lib/stream/records.ts'
import { seededBytes } from '../support/seeded.ts'

const pieces = fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 30 })
const tracks = [{ id: 1, timescale: 1000 }]

describe('the cutting of bytes into chunks', () => {
  it('cuts exactly, whatever the pieces that it is given', () => {
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 3000 }), (lengths, sizeBytes) => {
        const input = lengths.map((length, i) => seededBytes(i, length))
        const chunker = new ByteChunker(sizeBytes)
        // A chunk's memory is used again, so it is copied when it comes.
        const copied: Buffer[] = []
        for (const piece of input) for (const { bytes } of chunker.push(piece)) copied.push(Buffer.from(bytes))
        for (const { bytes } of chunker.end()) copied.push(Buffer.from(bytes))
        expect(Buffer.concat(copied).equals(Buffer.concat(input))).to.equal(true)
        for (const chunk of copied.slice(0, -1)) expect(chunk.length).to.equal(sizeBytes)
        expect(copied.at(-1)?.length ?? 1).to.be.within(1, sizeBytes)
      }),
    )
  })
})

describe('the cutting of fragments into chunks', () => {
  it('keeps every byte, never exceeds the size, and begins fragments only in chunks that begin with one', () => {
    fc.assert(
      fc.property(
        pieces,
        fc.integer({ min: 10, max: 3000 }),
        fc.integer({ min: 1, max: 500 }),
        (lengths, sizeBytes, step) => {
          const fragments = lengths.filter((length) => length > 0).map((length, i) => seededBytes(i, length))
          const chunks = cut(fragments, { sizeBytes }, step)
          expect(Buffer.concat(chunks.map(({ bytes }) => bytes)).equals(Buffer.concat(fragments))).to.equal(true)
          for (const { bytes } of chunks) expect(bytes.length).to.be.within(1, sizeBytes)
          const begins = offsets(fragments)
          const starts = offsets(chunks.map(({ bytes }) => bytes))
          chunks.forEach(({ start, bytes }, i) => {
            const [from, to] = [starts[i] ?? 0, (starts[i] ?? 0) + bytes.length]
            const inside = begins.filter((at) => at >= from && at < to)
            if (start === chunkStart.continues)
              expect(inside, 'no fragment begins in a chunk that continues one').to.deep.equal([])
            else expect(inside[0], 'begins with a fragment').to.equal(from)
          })
        },
      ),
    )
  })

  it('gathers fragments up to the size, and closes at the boundary before', () => {
    const chunks = cut(
      [400, 400, 400, 100].map((length, i) => seededBytes(i, length)),
      { sizeBytes: 900 },
      1000,
    )
    expect(chunks.map(({ bytes }) => bytes.length)).to.deep.equal([800, 500])
  })

  it('goes on into the next chunks with a fragment that is larger, and starts afresh behind it', () => {
    const chunks = cut(
      [2500, 100].map((length, i) => seededBytes(i, length)),
      { sizeBytes: 1000 },
      300,
    )
    expect(chunks.map(({ bytes }) => bytes.length)).to.deep.equal([1000, 1000, 500, 100])
    expect(chunks.map(({ start }) => start)).to.deep.equal([
      chunkStart.keyframe,
      chunkStart.continues,
      chunkStart.continues,
      chunkStart.fragment,
    ])
  })

  it('closes by duration where that is the limit', () => {
    const chunks = cut(
      Array.from({ length: 10 }, (_, i) => seededBytes(i, 10)),
      { durationMs: 2500 },
      100,
    )
    expect(chunks.map(({ times: [times] }) => (times ? times.decodeEnd - times.decodeStart : 0))).to.deep.equal([
      2000, 2000, 2000, 2000, 2000,
    ])
  })

  it('keeps within a duration, but for a fragment that alone is longer, and closes no sooner than it must', () => {
    const durations = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(durations, fc.integer({ min: 100, max: 5000 }), (lasting, durationMs) => {
        const chunker = new FragmentChunker({ durationMs }, tracks)
        const chunks: MadeChunk[] = []
        const ends = lasting.map((_, i) => lasting.slice(0, i + 1).reduce((total, ms) => total + ms))
        ends.forEach((decodeEnd, i) => {
          const decodeStart = ends[i - 1] ?? 0
          const times = [{ track: 1, decodeStart, decodeEnd, presentStart: decodeStart, presentEnd: decodeEnd }]
          chunks.push(...chunker.begin({ sizeBytes: 1, isKeyframe: true, times }), ...chunker.push(Buffer.of(i)))
        })
        chunks.push(...chunker.end())
        expect(Buffer.concat(chunks.map(({ bytes }) => bytes))).to.deep.equal(Buffer.from([...lasting.keys()]))
        for (const { bytes, times } of chunks) {
          const [first = 0, last = 0] = [bytes[0], bytes.at(-1)]
          const lasts = (times[0]?.decodeEnd ?? 0) - (times[0]?.decodeStart ?? 0)
          expect(lasts).to.equal((ends[last] ?? 0) - (ends[first - 1] ?? 0))
          if (bytes.length > 1) expect(lasts).to.be.at.most(durationMs)
          const next = lasting[last + 1]
          if (next !== undefined) expect(lasts + next).to.be.above(durationMs)
        }
      }),
    )
  })
})

/** Fragments of a second each, the first with a keyframe, in pieces of `step` bytes. */
function cut(fragments: Buffer[], limit: ConstructorParameters<typeof FragmentChunker>[0], step: number): MadeChunk[] {
  const chunker = new FragmentChunker(limit, tracks)
  const chunks: MadeChunk[] = []
  fragments.forEach((bytes, i) => {
    const times = [
      {
        track: 1,
        decodeStart: i * 1000,
        decodeEnd: (i + 1) * 1000,
        presentStart: i * 1000,
        presentEnd: (i + 1) * 1000,
      },
    ]
    chunks.push(...chunker.begin({ sizeBytes: bytes.length, isKeyframe: i === 0, times }))
    for (let at = 0; at < bytes.length; at += step) chunks.push(...chunker.push(bytes.subarray(at, at + step)))
  })
  chunks.push(...chunker.end())
  return chunks
}

function offsets(parts: Buffer[]): number[] {
  let at = 0
  return parts.map((part) => {
    at += part.length
    return at - part.length
  })
}
