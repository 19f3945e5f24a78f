import { expect } from 'chai'
import fc from 'fast-check'
import { Descriptor } from '../../lib/stream/descriptor.ts'
import { Page } from '../../lib/stream/page.ts'
import { type ChunkStart, chunkStart } from '../../lib/stream/records.ts'
import { Signer } from '../../lib/stream/signing.ts'
import { chunkAfterBytes, indexOf } from '../../lib/streamer/position.ts'
import type { KnownStream } from '../../lib/transfer/known-stream.ts'
import { captureFailure } from '../support/failures.ts'

const { keyframe, fragment, continues } = chunkStart
const signer = new Signer(Buffer.alloc(32, 7))
/** Every chunk lasts so long, ms. */
const chunkMs = 1000

interface Made extends KnownStream {
  /** How many pages were asked for. */
  asked: number
}

/** A film whose chunks begin as `starts` says; chunk i is presented from second i on. */
function film(
  starts: ChunkStart[],
  options: { pageRecords?: number; sizes?: number[]; initBytes?: number } = {},
): Made {
  const { pageRecords = 4, sizes = starts.map(() => 100), initBytes = 50 } = options
  const isBytes = initBytes === 0
  const descriptor = Descriptor.make(
    {
      name: 'film',
      epoch: 1,
      kind: 'on-demand',
      format: isBytes ? 'bytes' : 'fmp4',
      ending: 'mp4',
      init: new Uint8Array(initBytes),
      tracks: isBytes ? [] : [{ id: 1, type: 'video', codec: 'avc1', timescale: 1000 }],
      chunkCount: starts.length,
      chunkBytes: sum(sizes),
      durationMs: starts.length * chunkMs,
      pageRecords,
    },
    signer,
  )
  const made: Made = {
    descriptor,
    asked: 0,
    async page(index) {
      made.asked++
      const first = descriptor.pageStart(index)
      const end = Math.min(starts.length, first + pageRecords)
      const head = { streamId: descriptor.streamId, epoch: 1, first, offset: initBytes + sum(sizes.slice(0, first)) }
      const records = starts.slice(first, end).map((start, i) => ({
        sizeBytes: sizes[first + i] ?? 0,
        digest: Buffer.alloc(32),
        start,
        times: start === continues ? [] : [timesAt((first + i) * chunkMs)],
      }))
      return Page.make({ ...head, last: end === starts.length }, records, signer)
    },
  }
  return made
}

function timesAt(ms: number) {
  return { track: 1, decodeStart: ms, decodeEnd: ms + chunkMs, presentStart: ms, presentEnd: ms + chunkMs }
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

describe('where a stream begins', () => {
  it('is the chunk that is named', async () => {
    expect(await indexOf(film([keyframe, fragment, fragment]), { index: 2 })).to.equal(2)
  })

  it('is no chunk behind the last one, and the message says which that is', async () => {
    const failure = await captureFailure(indexOf(film([keyframe, fragment]), { index: 2 }))
    expect(failure.code).to.equal('bad-argument')
    expect(failure.message).to.equal('expected --from to be a chunk from 0 to 1, the last of film, got 2')
  })

  it('is no time of plain bytes', async () => {
    const failure = await captureFailure(indexOf(film([continues], { initBytes: 0 }), { timeMs: 0 }))
    expect(failure.code).to.equal('bad-argument')
    expect(failure.message).to.match(/index of a chunk/)
  })

  it('is no time behind the end, and the message says where that is', async () => {
    const stream = film([keyframe, fragment])
    const failure = await captureFailure(indexOf(stream, { timeMs: 2001 }))
    expect(failure.message).to.equal('expected --from to be within the 2 s of film, got 2.001 s')
    expect(await indexOf(stream, { timeMs: 2000 })).to.equal(0)
  })

  it('is the last keyframe at or before a time', async () => {
    const page = fc
      .array(fc.constantFrom<ChunkStart>(keyframe, fragment, continues), { minLength: 4, maxLength: 4 })
      .map(([, ...rest]): ChunkStart[] => [keyframe, ...rest])
    const pages = fc.array(page, { minLength: 1, maxLength: 9 })
    await fc.assert(
      fc.asyncProperty(pages, fc.nat({ max: 36_000 }), async (made, time) => {
        const starts = made.flat()
        const timeMs = Math.min(time, starts.length * chunkMs)
        const wanted = starts.reduce<number>(
          (last, start, i) => (start === keyframe && i * chunkMs <= timeMs ? i : last),
          0,
        )
        expect(await indexOf(film(starts), { timeMs })).to.equal(wanted)
      }),
    )
  })

  it('is that keyframe too when it lies in the page before', async () => {
    const starts = [keyframe, fragment, keyframe, fragment, fragment, keyframe, fragment, fragment]
    expect(await indexOf(film(starts), { timeMs: 4500 })).to.equal(2)
  })

  it('is that keyframe too when one fragment fills whole pages', async () => {
    const starts = [keyframe, fragment, keyframe, ...Array<ChunkStart>(9).fill(continues), keyframe, fragment]
    expect(await indexOf(film(starts), { timeMs: 3000 })).to.equal(2)
    expect(await indexOf(film(starts), { timeMs: 1500 })).to.equal(0)
  })

  it('is found by halving, not by reading every page', async () => {
    const stream = film(Array<ChunkStart>(1024).fill(keyframe), { pageRecords: 1 })
    expect(await indexOf(stream, { timeMs: 700_500 })).to.equal(700)
    expect(stream.asked).to.be.at.most(Math.log2(1024) + 1)
  })
})

describe('where a copy is continued', () => {
  it('is behind the last chunk that it holds whole', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.double({ min: 0, max: 1.2, noNaN: true }), async (made, share) => {
        const stream = film(Array<ChunkStart>(made.length).fill(keyframe), { sizes: made })
        const held = Math.floor(share * (50 + sum(made)))
        const ends = made.map((_, i) => 50 + sum(made.slice(0, i + 1)))
        const whole = ends.filter((end) => end <= held).length
        const wanted = held < 50 ? { index: 0, offset: 0 } : { index: whole, offset: ends[whole - 1] ?? 50 }
        expect(await chunkAfterBytes(stream, held)).to.deep.equal(wanted)
      }),
    )
  })
})
