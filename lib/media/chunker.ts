import { limits } from '../base/limits.ts'
import { type ChunkStart, chunkStart, type TrackTimes } from '../stream/records.ts'
import type { FragmentHead } from './fragments.ts'

/** The most that a chunk holds. */
export type ChunkLimit = { sizeBytes: number } | { durationMs: number }

/** A chunk that is complete. */
export interface MadeChunk {
  bytes: Buffer
  start: ChunkStart
  times: TrackTimes[]
}

/** Bytes that a chunk holds at most under this limit, when `reservedBytes` of it are taken by what encryption adds. */
export function sizeLimit(limit: ChunkLimit, reservedBytes = 0): number {
  const storedBytes = 'sizeBytes' in limit ? Math.min(limit.sizeBytes, limits.chunkBytes) : limits.chunkBytes
  return storedBytes - reservedBytes
}

/**
 * Cuts fragments into chunks. A chunk closes at the last fragment boundary within the limit; a fragment that is larger than
 * a chunk goes on into the next ones, and the fragment behind it starts a chunk of its own, so that fragments begin only in chunks
 * that begin with a fragment. Pure.
 */
export class FragmentChunker {
  readonly #limit: ChunkLimit
  readonly #maxBytes: number
  readonly #timescales: ReadonlyMap<number, number>
  #parts: Buffer[] = []
  #bytes = 0
  #start: ChunkStart = chunkStart.continues
  #times: TrackTimes[] = []

  constructor(limit: ChunkLimit, tracks: { id: number; timescale: number }[], reservedBytes = 0) {
    this.#limit = limit
    this.#maxBytes = sizeLimit(limit, reservedBytes)
    this.#timescales = new Map(tracks.map((track) => [track.id, track.timescale]))
  }

  /** A fragment begins; its bytes follow. */
  *begin(head: FragmentHead): Iterable<MadeChunk> {
    const isContinuing = this.#bytes > 0 && this.#start === chunkStart.continues
    const isFull = this.#bytes + head.sizeBytes > this.#maxBytes
    if (this.#bytes > 0 && (isContinuing || isFull || this.#isTooLong(head.times))) yield* this.end()
    if (this.#bytes === 0) this.#start = head.isKeyframe ? chunkStart.keyframe : chunkStart.fragment
    this.#times = mergeTimes(this.#times, head.times)
  }

  *push(bytes: Buffer): Iterable<MadeChunk> {
    for (let rest = bytes; rest.length > 0; ) {
      const part = rest.subarray(0, this.#maxBytes - this.#bytes)
      this.#parts.push(part)
      this.#bytes += part.length
      rest = rest.subarray(part.length)
      // A full chunk is closed only when more of the same fragment comes: its end is a boundary.
      if (this.#bytes === this.#maxBytes && rest.length > 0) yield* this.end()
    }
  }

  /** Closes the chunk in the making. */
  *end(): Iterable<MadeChunk> {
    if (this.#bytes === 0) return
    const [only] = this.#parts
    const bytes = this.#parts.length === 1 && only ? only : Buffer.concat(this.#parts)
    const made = { bytes, start: this.#start, times: this.#times }
    this.#parts = []
    this.#bytes = 0
    this.#start = chunkStart.continues
    this.#times = []
    yield made
  }

  #isTooLong(next: TrackTimes[]): boolean {
    const { durationMs } = 'durationMs' in this.#limit ? this.#limit : { durationMs: Number.POSITIVE_INFINITY }
    return mergeTimes(this.#times, next).some(({ track, decodeStart, decodeEnd }) => {
      const timescale = this.#timescales.get(track) ?? 0
      // Half a tick of rounding is no reason to close.
      return timescale > 0 && ((decodeEnd - decodeStart - 0.5) / timescale) * 1000 > durationMs
    })
  }
}

/** Times of two runs of fragments one after another. */
function mergeTimes(before: TrackTimes[], after: TrackTimes[]): TrackTimes[] {
  const merged = new Map(before.map((times) => [times.track, { ...times }]))
  for (const times of after) {
    const known = merged.get(times.track)
    if (!known) {
      merged.set(times.track, { ...times })
      continue
    }
    known.decodeEnd = Math.max(known.decodeEnd, times.decodeEnd)
    known.presentStart = Math.min(known.presentStart, times.presentStart)
    known.presentEnd = Math.max(known.presentEnd, times.presentEnd)
  }
  return [...merged.values()]
}

/**
 * Cuts plain bytes exactly: every chunk but the last has `sizeBytes`. A chunk is to be used before the next one is taken:
 * its memory, and that of what was pushed, is used again. Pure.
 */
export class ByteChunker {
  readonly #chunk: Buffer
  #bytes = 0

  constructor(sizeBytes: number) {
    this.#chunk = Buffer.allocUnsafeSlow(sizeBytes)
  }

  *push(bytes: Buffer): Iterable<MadeChunk> {
    const sizeBytes = this.#chunk.length
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#bytes === 0 && rest.length >= sizeBytes) {
        yield plain(rest.subarray(0, sizeBytes))
        rest = rest.subarray(sizeBytes)
        continue
      }
      const copied = rest.copy(this.#chunk, this.#bytes)
      this.#bytes += copied
      rest = rest.subarray(copied)
      if (this.#bytes === sizeBytes) yield* this.end()
    }
  }

  *end(): Iterable<MadeChunk> {
    if (this.#bytes === 0) return
    const bytes = this.#chunk.subarray(0, this.#bytes)
    this.#bytes = 0
    yield plain(bytes)
  }
}

function plain(bytes: Buffer): MadeChunk {
  return { bytes, start: chunkStart.continues, times: [] }
}
