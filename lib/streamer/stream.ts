import { randomBytes } from 'node:crypto'
import { type Chance, type Clock, pause, systemChance, systemClock } from '../base/clock.ts'
import { digestOf } from '../base/digest.ts'
import { discard } from '../base/discard.ts'
import { Failure, isFailure } from '../base/errors.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import type { Peer } from '../network/peer.ts'
import { Peers } from '../network/peers.ts'
import { Traffic } from '../network/traffic.ts'
import { Uplink } from '../network/uplink.ts'
import { MemoryManifestStore } from '../store/memory-store.ts'
import type { Link } from '../stream/links.ts'
import type { Page } from '../stream/page.ts'
import { type Run, runAt } from '../stream/runs.ts'
import type { FetchedRun } from '../transfer/fetch-round.ts'
import { Fetcher } from '../transfer/fetcher.ts'
import type { KnownStream } from '../transfer/known-stream.ts'
import { Prefetcher, runKey } from '../transfer/prefetcher.ts'
import { RemoteStreams } from '../transfer/remote-streams.ts'
import { RunCache } from '../transfer/run-cache.ts'
import type { KeyPair } from '../zerorpc/index.ts'
import { type Content, openContent } from './content.ts'
import type { ChunkEvent, EventLog } from './event-log.ts'
import type { Output } from './output.ts'
import { type Pace, Pacer } from './pacing.ts'
import { chunkAfterBytes, type From, indexOf } from './position.ts'

export interface StreamOptions {
  /** The node to take chunks from, maybe with the key that must have signed the stream and the one that decrypts it. */
  source: Link
  name: string
  output: Output
  /** One chunk every so many ms. */
  intervalMs?: number
  /** By the chunks' own times. Default: as fast as the output drains. */
  realtime?: boolean
  /** Default: the first chunk. */
  from?: From
  /** How many chunks at most; default all. */
  count?: number
  /** Bytes that the output holds already (of an encrypted stream: plaintext); it is cut to whole chunks and continued. */
  resumeFrom?: number
  /** Told of each chunk just before the output gets it. */
  eventLog?: EventLog
  signal?: AbortSignal
  /** Own keys, for nodes that admit only known ones; default: fresh ones where the address names a key. */
  keys?: KeyPair | undefined
  onProgress?(progress: StreamProgress): void
  log?: Logger
  clock?: Clock
  chance?: Chance
}

export interface StreamProgress {
  index: number
  chunkCount: number
  bytes: number
  seconds: number
  rateBytesPerSec: number
  /** The address that the chunk came from. */
  from: string
  positionMs: number
}

export interface StreamSummary {
  stream: string
  chunks: number
  bytes: number
  seconds: number
  /** Times that a chunk was not there when it was due, for longer than `stallMs`. */
  stalls: number
  longestStallMs: number
  bytesByPeer: Record<string, number>
  badChunks: number
}

/** A wait for a chunk longer than this is a stall, ms. */
export const stallMs = 500
/** A node that does not answer at the start for this long is reported as unreachable, ms. */
const connectMs = 5000
/** While nobody can give the next chunk it is asked for again for this long, ms. */
const patienceMs = 60_000
const reader = 'output'

/** Takes a stream's chunks in order, verified, decrypts those of an encrypted stream, and writes them to `output`. Memory does not grow with the stream. */
export async function streamTo(options: StreamOptions): Promise<StreamSummary> {
  const lifecycle = new Lifecycle()
  try {
    return await new Streamer(options, lifecycle).run()
  } finally {
    await lifecycle.close()
  }
}

class Streamer {
  readonly #options: StreamOptions
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #uplink: Uplink
  readonly #streams: RemoteStreams
  readonly #prefetcher: Prefetcher
  readonly #cache = new RunCache(limits.windowBytes * 2)
  readonly #traffic = new Traffic()
  #chunks = 0
  #bytes = 0
  #stalls = 0
  #longestStallMs = 0
  /** From whom, and since when, what lies in the cache. */
  readonly #origins = new Map<string, Omit<FetchedRun, 'bytes'>>()

  constructor(options: StreamOptions, lifecycle: Lifecycle) {
    const { clock = systemClock, chance = systemChance, log = silentLogger, source } = options
    this.#options = options
    this.#clock = clock
    this.#signal = options.signal ?? new AbortController().signal
    const peers = lifecycle.own(new Peers(clock, { keys: options.keys }))
    const self = { name: `streamer-${randomBytes(6).toString('hex')}` }
    this.#uplink = lifecycle.own(new Uplink({ self, masters: [source.address], peers, clock, chance, log }))
    this.#streams = new RemoteStreams({ uplink: this.#uplink, peers, store: new MemoryManifestStore(), clock, log })
    const fetcher = new Fetcher({ uplink: this.#uplink, peers, traffic: this.#traffic, clock, chance, log })
    this.#prefetcher = new Prefetcher({
      fetcher,
      uplink: this.#uplink,
      peers,
      clock,
      windowBytes: limits.windowBytes,
      inFlightBytes: (address) => mayBeInFlight(peers.at(address)),
      shelf: {
        has: (stream, run) => this.#cache.has(runKey(stream, run.first)),
        adopt: (bytes) => bytes,
        keep: async (page, run, { bytes, ...origin }) => {
          this.#cache.put(runKey(page.stream, run.first), bytes)
          this.#origins.set(runKey(page.stream, run.first), origin)
        },
      },
    })
    lifecycle.onClose(() => this.#prefetcher.close())
  }

  async run(): Promise<StreamSummary> {
    const { name, output, source, count = Number.POSITIVE_INFINITY } = this.#options
    const stream = await this.#connect()
    const { descriptor } = stream
    const content = openContent(descriptor, source.contentKey)
    const pacer = new Pacer(this.#pace(), descriptor.fields.tracks)
    const startedAt = this.#clock.now()
    let index = await this.#begin(stream, content)
    const end = Math.min(descriptor.chunkCount, index + count)
    while (index < end && !output.closed) {
      this.#signal.throwIfAborted()
      const page = await this.#retrying(() => stream.page(index))
      const run = runAt(page, index)
      const bytes = await this.#next(stream, page, run, pacer)
      const upTo = Math.min(end, run.first + run.count)
      await this.#write(descriptor.chunkCount, content, page, run, bytes, index, upTo, pacer, startedAt)
      this.#cache.delete(runKey(page.stream, run.first))
      this.#origins.delete(runKey(page.stream, run.first))
      if (!output.closed) discard(bytes)
      index = upTo
    }
    return {
      stream: name,
      chunks: this.#chunks,
      bytes: this.#bytes,
      seconds: (this.#clock.now() - startedAt) / 1000,
      stalls: this.#stalls,
      longestStallMs: Math.round(this.#longestStallMs),
      bytesByPeer: this.#traffic.bytesByPeer,
      badChunks: this.#traffic.badChunks,
    }
  }

  async #connect(): Promise<KnownStream> {
    const { source, name } = this.#options
    this.#uplink.start()
    const limit = new AbortController()
    const cancel = this.#clock.after(connectMs, () => {
      const silent = new Failure('unreachable', `${source.address} does not answer; is a node running there?`)
      limit.abort(this.#uplink.refusal ?? silent)
    })
    const onAbort = () => limit.abort(this.#signal.reason)
    this.#signal.addEventListener('abort', onAbort, { once: true })
    if (this.#signal.aborted) onAbort()
    try {
      await this.#uplink.registered(limit.signal)
    } finally {
      cancel()
      this.#signal.removeEventListener('abort', onAbort)
    }
    const stream = await this.#retrying(() => this.#streams.find(name, { key: source.key }))
    if (stream) return stream
    const names = (await this.#streams.list()).map((row) => row.name)
    const known = names.length > 0 ? `it has: ${names.join(', ')}` : 'it has none yet'
    throw new Failure('not-found', `${source.address} knows no stream ${name}; ${known}`)
  }

  /** Writes what comes before the first chunk and says which one that is. */
  async #begin(stream: KnownStream, { init }: Content): Promise<number> {
    const { output, from, resumeFrom, eventLog } = this.#options
    if (resumeFrom !== undefined) {
      const { index, offset } = await this.#retrying(() => chunkAfterBytes(stream, resumeFrom))
      if (!output.truncate)
        throw new Failure('bad-argument', '--resume needs --output FILE: a pipe cannot be continued')
      await eventLog?.continueAt(index)
      await output.truncate(offset)
      if (offset > 0) return index
    }
    const index = from ? await this.#retrying(() => indexOf(stream, from)) : 0
    if (init.length > 0) {
      await output.write(init)
      this.#bytes += init.length
    }
    return index
  }

  async #next(stream: KnownStream, page: Page, run: Run, pacer: Pacer): Promise<Uint8Array> {
    const key = runKey(page.stream, run.first)
    this.#prefetcher.follow(reader, stream, page, run)
    const ready = this.#cache.get(key)
    if (ready) return ready
    const askedAt = this.#clock.now()
    const { bytes } = await this.#retrying(() => this.#prefetcher.read(stream, page, run, this.#signal))
    const waitedMs = this.#clock.now() - askedAt
    if (waitedMs > stallMs && this.#chunks > 0) {
      this.#stalls++
      this.#longestStallMs = Math.max(this.#longestStallMs, waitedMs)
      pacer.shift(waitedMs)
    }
    return bytes
  }

  async #write(
    chunkCount: number,
    content: Content,
    page: Page,
    run: Run,
    bytes: Uint8Array,
    from: number,
    upTo: number,
    pacer: Pacer,
    startedAt: number,
  ): Promise<void> {
    const { output, eventLog, onProgress } = this.#options
    const origin = this.#origins.get(runKey(page.stream, run.first))
    const base = page.offsetOf(run.first)
    const isPaced = this.#pace().kind !== 'free'
    // Unpaced, a run is written at once; paced, chunk by chunk.
    for (let index = from; index < upTo && !output.closed; ) {
      const next = isPaced ? index + 1 : upTo
      const waitMs = pacer.delayMs(page.record(index), this.#clock.now())
      if (waitMs > 0) await pause(this.#clock, waitMs, this.#signal)
      const start = page.offsetOf(index) - base
      await eventLog?.append(this.#events(page, base, bytes, index, next, origin))
      const stored = bytes.subarray(start, start + page.bytesOf(index, next - index))
      const written = content.of(page, index, next - index, stored)
      try {
        await output.write(written)
      } catch (error) {
        if (isFailure(error, 'closed')) return
        throw error
      }
      this.#chunks += next - index
      this.#bytes += written.length
      // Decrypted, it is another buffer than what came.
      if (written.buffer !== bytes.buffer) discard(written)
      index = next
      const seconds = (this.#clock.now() - startedAt) / 1000
      onProgress?.({
        index: index - 1,
        chunkCount,
        bytes: this.#bytes,
        seconds,
        rateBytesPerSec: this.#bytes / Math.max(seconds, 0.001),
        from: origin?.address ?? '',
        positionMs: pacer.positionMs,
      })
    }
  }

  #events(
    page: Page,
    base: number,
    bytes: Uint8Array,
    from: number,
    upTo: number,
    origin?: Omit<FetchedRun, 'bytes'>,
  ): ChunkEvent[] {
    const done = this.#clock.now()
    const events: ChunkEvent[] = []
    for (let index = from; index < upTo; index++) {
      const start = page.offsetOf(index) - base
      const digest = digestOf(bytes.subarray(start, start + page.bytesOf(index, 1))).toString('hex')
      events.push({ index, digest, asked: origin?.askedAt ?? done, done, from: origin?.address ?? '' })
    }
    return events
  }

  #pace(): Pace {
    const { intervalMs, realtime } = this.#options
    if (realtime) return { kind: 'realtime' }
    return intervalMs === undefined ? { kind: 'free' } : { kind: 'interval', intervalMs }
  }

  /** Tries again while nobody can be asked: a node may come back. */
  async #retrying<T>(work: () => Promise<T>): Promise<T> {
    const until = this.#clock.now() + patienceMs
    for (;;) {
      try {
        return await work()
      } catch (error) {
        this.#signal.throwIfAborted()
        if (!isFailure(error, 'unavailable', 'timeout', 'unreachable', 'aborted') || this.#clock.now() > until)
          throw error
        await pause(this.#clock, 300, this.#signal)
      }
    }
  }
}

/** What comes soon, and no more than the node grants: one run before it has said. */
function mayBeInFlight({ pace, windowBytes }: Peer): number {
  return Math.min(pace.inFlightBytes, Math.max(limits.runBytes, windowBytes))
}
