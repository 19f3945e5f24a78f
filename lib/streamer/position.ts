import { Failure } from '../base/errors.ts'
import type { Page } from '../stream/page.ts'
import { chunkStart } from '../stream/records.ts'
import type { KnownStream } from '../transfer/known-stream.ts'
import { positionOf } from './pacing.ts'

/** Where to begin. */
export type From = { index: number } | { timeMs: number }

/** Index of the chunk at which a decoder can start to show `from`. */
export async function indexOf(stream: KnownStream, from: From): Promise<number> {
  const { fields, chunkCount, name } = stream.descriptor
  if ('index' in from) {
    if (from.index < chunkCount) return from.index
    throw new Failure(
      'bad-argument',
      `expected --from to be a chunk from 0 to ${chunkCount - 1}, the last of ${name}, got ${from.index}`,
    )
  }
  if (fields.format === 'bytes') {
    throw new Failure('bad-argument', `${name} holds plain bytes without times; give --from as the index of a chunk`)
  }
  if (from.timeMs > fields.durationMs) {
    throw new Failure(
      'bad-argument',
      `expected --from to be within the ${fields.durationMs / 1000} s of ${name}, got ${from.timeMs / 1000} s`,
    )
  }
  const page = await lastPageWith(stream, async (candidate) => (await positionUpTo(stream, candidate)) <= from.timeMs)
  for (let before = page; ; before = await stream.page(before.first - 1)) {
    const index = keyframeBefore(stream, before, from.timeMs)
    if (index !== undefined || before.first === 0) return index ?? 0
  }
}

/** Index of the first chunk that is not wholly within the first `bytes` bytes of the output, and where it begins there. */
export async function chunkAfterBytes(stream: KnownStream, bytes: number): Promise<{ index: number; offset: number }> {
  const { descriptor } = stream
  const { init, chunkCount, mediaBytes } = descriptor
  const outputBytes = descriptor.outputOffset(chunkCount, mediaBytes)
  if (bytes < descriptor.outputOffset(0, init.length) || chunkCount === 0) return { index: 0, offset: 0 }
  if (bytes >= outputBytes) return { index: chunkCount, offset: outputBytes }
  const offsetOf = (page: Page, index: number) => descriptor.outputOffset(index, page.offsetOf(index))
  const page = await lastPageWith(stream, (candidate) => offsetOf(candidate, candidate.first) <= bytes)
  let index = page.first
  while (index + 1 < page.end && offsetOf(page, index + 1) <= bytes) index++
  return { index, offset: offsetOf(page, index) }
}

/** The last page for which `holds` is true, by halving; pages before it must all hold. The first page when none does. */
async function lastPageWith(stream: KnownStream, holds: (page: Page) => boolean | Promise<boolean>): Promise<Page> {
  const { chunkCount, fields } = stream.descriptor
  let low = 0
  let high = Math.max(0, Math.ceil(chunkCount / fields.pageRecords) - 1)
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (await holds(await stream.page(middle * fields.pageRecords))) low = middle
    else high = middle - 1
  }
  return stream.page(low * fields.pageRecords)
}

/** Where a page begins, ms: its first position, or, when a fragment fills it whole, that of the pages before. */
async function positionUpTo(stream: KnownStream, page: Page): Promise<number> {
  for (let at = page; ; at = await stream.page(at.first - 1)) {
    const position = firstPosition(stream, at)
    if (position !== undefined || at.first === 0) return position ?? 0
  }
}

function firstPosition(stream: KnownStream, page: Page): number | undefined {
  const tracks = new Map(stream.descriptor.fields.tracks.map((track) => [track.id, track]))
  for (let index = page.first; index < page.end; index++) {
    const position = positionOf(page.record(index), tracks)
    if (position !== undefined) return position
  }
  return undefined
}

function keyframeBefore(stream: KnownStream, page: Page, timeMs: number): number | undefined {
  const tracks = new Map(stream.descriptor.fields.tracks.map((track) => [track.id, track]))
  let found: number | undefined
  for (let index = page.first; index < page.end; index++) {
    const record = page.record(index)
    const position = positionOf(record, tracks)
    if (position !== undefined && position > timeMs) break
    if (record.start === chunkStart.keyframe) found = index
  }
  return found
}
