import { intoPool, release, retain } from '../base/buffer-pool.ts'
import { type Clock, pause } from '../base/clock.ts'
import type { Lifecycle } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { StreamRow } from '../network/contract.ts'
import type { Traffic } from '../network/traffic.ts'
import type { Uplink } from '../network/uplink.ts'
import type { ChunkStore } from '../store/chunk-store.ts'
import type { Page } from '../stream/page.ts'
import type { Run } from '../stream/runs.ts'
import type { StreamKey } from '../stream/stream-key.ts'
import type { FetchedRun } from '../transfer/fetch-round.ts'
import type { KnownStream } from '../transfer/known-stream.ts'
import { type Prefetcher, runKey, type Shelf } from '../transfer/prefetcher.ts'
import type { RemoteStreams } from '../transfer/remote-streams.ts'
import type { RunCache } from '../transfer/run-cache.ts'
import type { Holdings } from './holdings.ts'
import type { Provider, ReadOptions } from './provider.ts'

export interface RelayParts {
  uplink: Uplink
  streams: RemoteStreams
  prefetcher: Prefetcher
  store: ChunkStore
  cache: RunCache
  shelf: RelayShelf
  traffic: Traffic
}

/** Serves from memory, then from the store, then by fetching from siblings and masters. */
export class RelayProvider implements Provider {
  readonly #parts: RelayParts
  readonly #reading = new SingleFlight<string, Uint8Array | undefined>()

  constructor(parts: RelayParts) {
    this.#parts = parts
  }

  get badChunks(): number {
    return this.#parts.store.stats().badChunks
  }

  get stored(): { chunks: number; bytes: number } {
    const { chunks, bytes } = this.#parts.store.stats()
    return { chunks, bytes }
  }

  get chain(): readonly string[] {
    return this.#parts.uplink.upward()
  }

  get master(): string | null {
    return this.#parts.uplink.current ?? null
  }

  list(): Promise<StreamRow[]> {
    return this.#parts.streams.list()
  }

  find(name: string, fresh: boolean): Promise<KnownStream | undefined> {
    return this.#parts.streams.find(name, { fresh })
  }

  async read(stream: KnownStream, page: Page, run: Run, options: ReadOptions): Promise<Uint8Array | undefined> {
    const { prefetcher, shelf } = this.#parts
    const key = runKey(page.stream, run.first)
    const held = shelf.get(key) ?? (await this.#reading.run(key, () => this.#stored(page, run, key)))
    if (options.local)
      return held ?? (await prefetcher.underWay(page.stream, run.first, options.signal))?.bytes ?? shelf.get(key)
    // What is read now is asked for before what is read next.
    const fetching = held ? undefined : prefetcher.read(stream, page, run, options.signal)
    prefetcher.follow(options.reader, stream, page, run)
    return held ?? (await fetching)?.bytes
  }

  async #stored(page: Page, run: Run, key: string): Promise<Uint8Array | undefined> {
    const { store, cache, traffic } = this.#parts
    const bytes = await store.get(page, run.first, run.count)
    if (!bytes) return undefined
    traffic.bytesFrom.store += bytes.length
    cache.put(key, bytes)
    return bytes
  }
}

/** A disk that takes longer for a run no longer sets the pace, ms. */
const diskPatienceMs = 2000

/** Where a relay puts what it fetched: memory for those who wait, the store for later, and the news of it to the master. */
export class RelayShelf implements Shelf {
  readonly #store: ChunkStore
  readonly #cache: RunCache
  readonly #holdings: Holdings
  readonly #clock: Clock
  readonly #writes = new Set<Promise<void>>()
  /** Runs on their way to the disk, and their bytes: they may have left the cache already, and must not be fetched again. */
  readonly #onTheWay = new Map<string, Uint8Array>()
  #writing = 0

  constructor(store: ChunkStore, cache: RunCache, holdings: Holdings, lifecycle: Lifecycle, clock: Clock) {
    this.#clock = clock
    this.#store = store
    this.#cache = cache
    this.#holdings = holdings
    lifecycle.onClose(async () => {
      await Promise.all(this.#writes)
    })
  }

  /** A run that is in memory, by `runKey`. */
  get(key: string): Uint8Array | undefined {
    return this.#cache.get(key) ?? this.#onTheWay.get(key)
  }

  has(stream: StreamKey, run: Run): boolean {
    const key = runKey(stream, run.first)
    if (this.#cache.has(key) || this.#onTheWay.has(key)) return true
    return this.#store.has(stream, run.first) && this.#store.has(stream, run.first + run.count - 1)
  }

  adopt(bytes: Uint8Array): Uint8Array {
    return intoPool(bytes)
  }

  /** Resolves when more may be fetched: the disk sets the pace, or what it cannot take would be fetched again for the next reader. */
  async keep(page: Page, run: Run, { bytes }: FetchedRun): Promise<void> {
    const key = runKey(page.stream, run.first)
    this.#cache.put(key, bytes)
    // A disk that hangs must not fill the memory or hold up readers for ever: what it cannot take then passes by uncached.
    if (this.#writing > limits.windowBytes * 4) return
    this.#writing += bytes.length
    this.#onTheWay.set(key, bytes)
    retain(bytes)
    const write = this.#store.put(page, run.first, run.count, bytes).then((isKept) => {
      this.#writes.delete(write)
      this.#writing -= bytes.length
      this.#onTheWay.delete(key)
      release(bytes)
      if (isKept) this.#holdings.have(page.stream, run.first, run.first + run.count)
    })
    this.#writes.add(write)
    if (this.#writing <= limits.windowBytes / 2) return
    await Promise.race([write, pause(this.#clock, diskPatienceMs)])
  }
}
