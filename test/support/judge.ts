import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { digestOf } from '../../lib/base/digest.ts'
import type { ChunkEvent } from '../../lib/streamer/event-log.ts'

/** What a streamer delivered, held against what was published. */
export interface Verdict {
  delivered: number
  /** Chunks that were asked for and never delivered. */
  lost: number[]
  repeated: number[]
  /** Delivered behind a later one. */
  disordered: number[]
  /** Delivered with other bytes than the published ones. */
  wrong: number[]
  /** Longest time between a chunk and the next, ms; the time that a streamer was not running does not count. */
  longestGapMs: number
  /** Chunks by whom they came from. */
  from: Record<string, number>
}

/** Judges the events of one streamer that should have delivered all of `chunks` from `first` on. */
export function judge(events: readonly ChunkEvent[], chunks: readonly Uint8Array[], first = 0): Verdict {
  const verdict: Verdict = {
    delivered: events.length,
    lost: [],
    repeated: [],
    disordered: [],
    wrong: [],
    longestGapMs: 0,
    from: {},
  }
  const seen = new Set<number>()
  let before: ChunkEvent | undefined
  for (const event of events) {
    const chunk = chunks[event.index]
    if (seen.has(event.index)) verdict.repeated.push(event.index)
    else if (before && event.index < before.index) verdict.disordered.push(event.index)
    if (!chunk || digestOf(chunk).toString('hex') !== event.digest) verdict.wrong.push(event.index)
    // A streamer that was started again counts its time anew.
    if (before) verdict.longestGapMs = Math.max(verdict.longestGapMs, Math.round(event.done - before.done))
    verdict.from[event.from] = (verdict.from[event.from] ?? 0) + 1
    seen.add(event.index)
    before = event
  }
  for (let index = first; index < chunks.length; index++) if (!seen.has(index)) verdict.lost.push(index)
  return verdict
}

export async function readEvents(path: string): Promise<ChunkEvent[]> {
  const lines = (await readFile(path, 'utf8')).split('\n')
  // A line that a kill cut off is none.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as ChunkEvent)
}

/** The promise: every chunk once, in order, right; no stall longer than `mostStallMs`. */
export function expectPromise(verdict: Verdict, what: string, mostStallMs = 5000): void {
  const { lost, repeated, disordered, wrong } = verdict
  expect({ lost, repeated, disordered, wrong }, what).to.deep.equal({
    lost: [],
    repeated: [],
    disordered: [],
    wrong: [],
  })
  expect(verdict.longestGapMs, `${what}: longest gap, ms`).to.be.at.most(mostStallMs)
}
