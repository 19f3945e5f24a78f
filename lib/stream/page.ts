import { decode, encode } from '@msgpack/msgpack'
import { digestBytes, digestTextLength, digestTextOf, digestTexts } from '../base/digest.ts'
import { Failure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { isOff } from '../base/protections.ts'
import { nonceBytes, tagBytes } from './content.ts'
import type { ChunkRecord, ChunkStart, TrackTimes } from './records.ts'
import { cutRuns } from './runs.ts'
import { checkSeal, type Signed, type SignedKind, seal } from './signed.ts'
import type { Signer, Verifier } from './signing.ts'
import { type StreamKey, streamKeyOf } from './stream-key.ts'

const kind: SignedKind = 'page'

/** What a page must belong to: the descriptor of its stream. */
export interface PageOwner {
  name: string
  stream: StreamKey
  verifier: Verifier
  /** Bytes of a run at most; default `limits.runBytes`. */
  runBytes?: number
}

export interface PageHead {
  /** Stream id, 32 bytes. */
  streamId: Uint8Array
  epoch: number
  /** Index of the first chunk. */
  first: number
  /** Offset of the first chunk in the media file (init segment included), bytes. */
  offset: number
  /** Whether the stream ends with this page. */
  last: boolean
}

/**
 * Records of consecutive chunks, in columns: a page of 1,024 small chunks is four arrays, not a thousand objects.
 * A `Page` exists only after its signature was checked or made here, so who holds one may trust it.
 */
export class Page {
  readonly stream: StreamKey
  readonly first: number
  readonly count: number
  readonly last: boolean
  /** As it travels. */
  readonly signed: Signed
  /** Where the runs begin, as positions in this page; see runs.ts. */
  readonly runStarts: Uint32Array
  /** offsets[i] is where chunk first + i begins in the media file; offsets[count] is where the page ends. */
  readonly offsets: Float64Array
  readonly #digests: Uint8Array
  /** The same as text, one behind another, once chunks were verified. */
  #digestTexts: string | undefined
  readonly #starts: Uint8Array
  readonly #times: (TrackTimes[] | null)[] | undefined
  readonly #nonces: Uint8Array | undefined

  private constructor(signed: Signed, columns: Columns, runBytes: number = limits.runBytes) {
    this.signed = signed
    this.stream = streamKeyOf(columns.streamId, columns.epoch)
    this.first = columns.first
    this.last = columns.last
    this.count = columns.sizes.length
    this.offsets = new Float64Array(this.count + 1)
    let offset = columns.offset
    columns.sizes.forEach((size, i) => {
      this.offsets[i] = offset
      offset += size
    })
    this.offsets[this.count] = offset
    this.#digests = columns.digests
    this.#starts = columns.starts
    this.#times = columns.times
    this.#nonces = columns.nonces
    this.runStarts = cutRuns(columns.sizes, runBytes, columns.first === 0 ? limits.firstRunBytes : undefined)
  }

  /** Signs records as a page. */
  static make(head: PageHead, records: ChunkRecord[], signer: Signer): Page {
    const sizes = records.map((record) => record.sizeBytes)
    const times = records.some((record) => record.times.length > 0)
      ? records.map((record) => (record.times.length > 0 ? record.times.map(timesToRow) : null))
      : null
    const body = encode([
      [head.streamId, head.epoch, head.first, head.offset, head.last],
      new Uint8Array(Uint32Array.from(sizes).buffer),
      Buffer.concat(records.map((record) => record.digest)),
      Uint8Array.from(records, (record) => record.start),
      times,
      records.some((record) => record.nonce) ? Buffer.concat(records.map((record) => record.nonce ?? noNonce)) : null,
    ])
    return new Page(seal(kind, body, signer), decodeColumns(body))
  }

  /** Checks signature, stream, epoch and form. */
  static open(signed: Signed, owner: PageOwner): Page {
    if (signed.body.length > limits.pageBytes) {
      throw new Failure('over-limit', `expected a page of at most ${limits.pageBytes} bytes, got ${signed.body.length}`)
    }
    checkSeal(kind, signed, owner.verifier, owner.name)
    const page = new Page(signed, decodeColumns(signed.body), owner.runBytes)
    if (page.stream !== owner.stream) {
      throw new Failure('stream-changed', `the page is of another stream or epoch than ${owner.name}`)
    }
    return page
  }

  /** Index after the last chunk. */
  get end(): number {
    return this.first + this.count
  }

  has(index: number): boolean {
    return index >= this.first && index < this.end
  }

  /** Bytes of `count` chunks from `index`. */
  bytesOf(index: number, count: number): number {
    const at = index - this.first
    return this.offsetAt(at + count) - this.offsetAt(at)
  }

  /** Offset of chunk `index` in the media file. */
  offsetOf(index: number): number {
    return this.offsetAt(index - this.first)
  }

  record(index: number): ChunkRecord {
    const at = index - this.first
    return {
      sizeBytes: this.offsetAt(at + 1) - this.offsetAt(at),
      digest: this.#digests.subarray(at * digestBytes, (at + 1) * digestBytes),
      start: (this.#starts[at] ?? 0) as ChunkStart,
      times: this.#times?.[at] ?? [],
      nonce: this.#nonces?.subarray(at * nonceBytes, (at + 1) * nonceBytes),
    }
  }

  /** The index of the first chunk of `bytes`, which should hold `count` chunks from `index`, that is wrong; -1 when all are right. */
  firstWrong(index: number, count: number, bytes: Uint8Array): number {
    if (!this.has(index) || index + count > this.end || bytes.length !== this.bytesOf(index, count)) return index
    if (isOff('digests')) return -1
    const from = index - this.first
    const base = this.offsetAt(from)
    this.#digestTexts ??= digestTexts(this.#digests)
    const texts = this.#digestTexts
    for (let at = from; at < from + count; at++) {
      const chunk = bytes.subarray(this.offsetAt(at) - base, this.offsetAt(at + 1) - base)
      if (!texts.startsWith(digestTextOf(chunk), at * digestTextLength)) return this.first + at
    }
    return -1
  }

  private offsetAt(at: number): number {
    return this.offsets[at] ?? Number.NaN
  }
}

interface Columns extends PageHead {
  sizes: Uint32Array
  digests: Uint8Array
  starts: Uint8Array
  times: (TrackTimes[] | null)[] | undefined
  nonces: Uint8Array | undefined
}

/** Chunks of a stream are encrypted all or none; a page that mixes them is refused when it is decoded. */
const noNonce = new Uint8Array()

type TimesRow = [number, number, number, number, number]

function timesToRow(times: TrackTimes): TimesRow {
  return [times.track, times.decodeStart, times.decodeEnd, times.presentStart, times.presentEnd]
}

function decodeColumns(body: Uint8Array): Columns {
  let value: unknown
  try {
    value = decode(body, { maxArrayLength: limits.pageRecords, maxBinLength: limits.pageBytes, maxMapLength: 0 })
  } catch (cause) {
    throw wrongPage('is not msgpack', cause)
  }
  if (!Array.isArray(value) || (value.length !== 5 && value.length !== 6) || !Array.isArray(value[0]))
    throw wrongPage('is not six columns')
  // Pages made before streams could be encrypted end before the nonces.
  const [head, sizeBytes, digests, starts, times, nonces = null] = value as unknown[]
  const [streamId, epoch, first, offset, last] = head as unknown[]
  if (!(streamId instanceof Uint8Array) || streamId.length !== digestBytes) throw wrongPage('has no stream id')
  if (!isCount(epoch) || !isCount(first) || !isCount(offset) || typeof last !== 'boolean')
    throw wrongPage('has a wrong head')
  if (!(sizeBytes instanceof Uint8Array) || !(digests instanceof Uint8Array) || !(starts instanceof Uint8Array)) {
    throw wrongPage('lacks a column')
  }
  const count = starts.length
  if (count > limits.pageRecords || sizeBytes.length !== count * 4 || digests.length !== count * digestBytes) {
    throw wrongPage('has columns of unequal length')
  }
  const sizes = new Uint32Array(new Uint8Array(sizeBytes).buffer)
  if (nonces !== null && (!(nonces instanceof Uint8Array) || nonces.length !== count * nonceBytes))
    throw wrongPage('has a wrong column of nonces')
  const leastBytes = nonces === null ? 1 : tagBytes + 1
  if (sizes.some((size) => size < leastBytes || size > limits.chunkBytes))
    throw wrongPage('has a chunk of a forbidden size')
  if (starts.some((start) => start > 2)) throw wrongPage('has an unknown flag')
  return {
    ...{ streamId, epoch, first, offset, last, sizes, digests, starts },
    times: decodeTimes(times, count),
    nonces: nonces ?? undefined,
  }
}

function decodeTimes(times: unknown, count: number): (TrackTimes[] | null)[] | undefined {
  if (times === null) return undefined
  if (!Array.isArray(times) || times.length !== count) throw wrongPage('has a wrong column of times')
  return times.map((rows: unknown) => {
    if (rows === null) return null
    if (!Array.isArray(rows)) throw wrongPage('has wrong times')
    return rows.map((row: unknown) => {
      if (!Array.isArray(row) || row.length !== 5 || !row.every((value) => Number.isSafeInteger(value))) {
        throw wrongPage('has wrong times')
      }
      const [track, decodeStart, decodeEnd, presentStart, presentEnd] = row as TimesRow
      return { track, decodeStart, decodeEnd, presentStart, presentEnd }
    })
  })
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function wrongPage(why: string, cause?: unknown): Failure {
  return new Failure('bad-format', `a page ${why}`, { cause })
}
