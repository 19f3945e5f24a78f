import { Failure } from '../base/errors.ts'
import type { Track } from '../stream/descriptor.ts'
import type { ChunkRecord } from '../stream/records.ts'

/** How fast chunks are written: as fast as the reader drains, one every so often, or by their own times. */
export type Pace = { kind: 'free' } | { kind: 'interval'; intervalMs: number } | { kind: 'realtime' }

/** Decides when each chunk is due. Pure: positions and times are passed in. */
export class Pacer {
  readonly #pace: Pace
  readonly #tracks: ReadonlyMap<number, Track>
  #start: { at: number; count: number; positionMs: number } | undefined
  #count = 0
  #positionMs = 0

  constructor(pace: Pace, tracks: Track[]) {
    if (pace.kind === 'realtime' && tracks.length === 0) {
      throw new Failure(
        'bad-argument',
        '--realtime needs a stream with times, and this one holds plain bytes; use --interval',
      )
    }
    this.#pace = pace
    this.#tracks = new Map(tracks.map((track) => [track.id, track]))
  }

  /** Where the stream is at the chunk last paced, ms. */
  get positionMs(): number {
    return this.#positionMs
  }

  /** How long to wait, ms, before the next chunk is written; call once for each chunk in order. */
  delayMs(record: ChunkRecord, now: number): number {
    this.#positionMs = positionOf(record, this.#tracks) ?? this.#positionMs
    this.#start ??= { at: now, count: this.#count, positionMs: this.#positionMs }
    const done = this.#count++ - this.#start.count
    switch (this.#pace.kind) {
      case 'free':
        return 0
      case 'interval':
        return Math.max(0, this.#start.at + done * this.#pace.intervalMs - now)
      case 'realtime':
        return Math.max(0, this.#start.at + this.#positionMs - this.#start.positionMs - now)
      default:
        return this.#pace satisfies never
    }
  }

  /** The output stood still for `ms`: what follows keeps its distance instead of hurrying to catch up. */
  shift(ms: number): void {
    if (this.#start) this.#start.at += ms
  }
}

/** Earliest presentation in a chunk, ms; undefined where no fragment starts. */
export function positionOf(record: ChunkRecord, tracks: ReadonlyMap<number, Track>): number | undefined {
  const starts = record.times.flatMap((times) => {
    const track = tracks.get(times.track)
    return track && track.timescale > 0 ? [(times.presentStart / track.timescale) * 1000] : []
  })
  return starts.length > 0 ? Math.min(...starts) : undefined
}
