import { join } from 'node:path'
import { backoffMs } from '../base/backoff.ts'
import { pooled } from '../base/buffer-pool.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { errnoOf, Failure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import type { Page } from '../stream/page.ts'
import type { Signed } from '../stream/signed.ts'
import type { StreamKey } from '../stream/stream-key.ts'
import type { ChunkRange, ChunkStore, ManifestStore, StoreStats } from './chunk-store.ts'
import { pickEvictions } from './eviction.ts'
import type { Extent } from './extents.ts'
import { IndexRows } from './index-rows.ts'
import {
  decodeExtent,
  decodeSigned,
  decodeUses,
  descriptorKey,
  encodeExtent,
  encodeSigned,
  encodeUses,
  extentKey,
  keysUnder,
  pageKey,
  pinKey,
  streamPath,
  usesKey,
} from './rows.ts'
import { SlabFiles } from './slab-files.ts'
import { SlabIndex } from './slab-index.ts'
import { type Place, SlabWriters } from './slab-writers.ts'
import {
  claimDirectory,
  type Index,
  openIndex,
  repairIndex,
  setIndexAside,
  throwIfDiskFails,
} from './store-directory.ts'

export interface LevelStoreOptions {
  /** Bytes of slab files at most; default 10 GiB. */
  capacityBytes?: number
  /** Bytes left free on the disk; default `limits.freeSpaceBytes`. */
  freeSpaceBytes?: number
  /** Size at which a slab is closed, bytes; default `limits.slabBytes`, less for a small capacity. */
  slabBytes?: number
  clock?: Clock
  log?: Logger
}

/** Free space is looked at once in so many written bytes. */
const freeCheckBytes = 16 * 1024 * 1024

/**
 * The chunk store of a relay: bytes in append-only slab files, the index in LevelDB.
 *
 * How it works. The whole index is in memory (`SlabIndex`): a row is not a chunk but an extent, chunks that lie one after
 * another in a slab, so that a film that was read in order is one row a slab. `put` reserves a place at the end of the slab
 * of its stream, writes there, and only then makes the chunks known; rows follow in batches. So a row never points at
 * bytes that were not written, and what a kill leaves behind a slab's last row is only space. `get` reads one piece a run and
 * verifies it: what is wrong is dropped, counted and reported. A full or failing disk makes `put` answer false for a while.
 */
export class LevelChunkStore implements ChunkStore, ManifestStore {
  readonly #directory: string
  readonly #files: SlabFiles
  readonly #index: SlabIndex
  readonly #capacityBytes: number
  readonly #freeSpaceBytes: number
  readonly #clock: Clock
  readonly #log: Logger
  readonly #writers: SlabWriters
  readonly #rows: IndexRows
  readonly #pins = new Map<string, Uint8Array>()
  readonly #listeners: ((stream: StreamKey, range: ChunkRange) => void)[] = []
  readonly #pending = new Set<Promise<unknown>>()
  #isLoaded = false
  #badChunks = 0
  #sinceFreeCheck = freeCheckBytes
  /** Puts get their places one after another, or several would count on the same room. */
  #turn: Promise<void> = Promise.resolve()
  #failures = 0
  #retryAt = 0
  #closing: Promise<void> | undefined

  private constructor(directory: string, db: Index, options: LevelStoreOptions) {
    const {
      capacityBytes = 10 * 1024 ** 3,
      freeSpaceBytes = limits.freeSpaceBytes,
      clock = systemClock,
      log = silentLogger,
    } = options
    this.#directory = directory
    this.#capacityBytes = capacityBytes
    this.#freeSpaceBytes = freeSpaceBytes
    this.#clock = clock
    this.#log = log
    this.#files = new SlabFiles(join(directory, 'slabs'))
    this.#rows = new IndexRows(directory, db, { clock, log, onFailure: (error) => this.#suspend(error) })
    this.#index = new SlabIndex(({ stream, first, extent }) => {
      // What is just being read needs no writing.
      if (this.#isLoaded) this.#rows.set(extentKey(stream, first), extent && (() => encodeExtent(extent)))
    })
    // A store has at least eight slabs, or evicting one would empty most of it.
    const slabBytes = Math.min(options.slabBytes ?? limits.slabBytes, Math.max(1, Math.floor(capacityBytes / 8)))
    this.#writers = new SlabWriters(this.#files, this.#index, slabBytes)
  }

  /** Opens or makes the store in `directory`. Throws `directory-unusable`, `store-locked` or `store-broken`. */
  static async open(directory: string, options: LevelStoreOptions = {}): Promise<LevelChunkStore> {
    await claimDirectory(directory)
    const { log = silentLogger } = options
    let cause: unknown
    // An index may open and yet hold tables that cannot be read: it is repaired once, else set aside.
    for (const mend of [undefined, repairIndex, setIndexAside]) {
      await mend?.(directory, log)
      const db = await openIndex(directory, log)
      const store = new LevelChunkStore(directory, db, options)
      try {
        await store.#load()
        return store
      } catch (error) {
        cause = error
        await db.close()
        throwIfDiskFails(directory, error)
      }
    }
    throw new Failure('store-broken', `cannot read the chunk store in ${directory}`, { cause })
  }

  has(stream: StreamKey, index: number): boolean {
    return this.#index.stream(stream)?.at(index) !== undefined
  }

  held(stream: StreamKey): ChunkRange[] {
    return this.#index.stream(stream)?.ranges() ?? []
  }

  streams(): StreamKey[] {
    return this.#index.streams()
  }

  async get(page: Page, first: number, count: number): Promise<Buffer | undefined> {
    this.#checkOpen()
    const pieces = this.#pieces(page, first, count)
    if (!pieces) return undefined
    const bytes = pooled(page.bytesOf(first, count))
    // All pieces at once: a slab that is being read can be evicted, one that is read later would be gone.
    const reads = pieces.map(({ slab, slabOffset, start, length }) => {
      this.#index.use(slab)
      return this.#files.read(slab, slabOffset, bytes.subarray(start, start + length))
    })
    if ((await Promise.all(reads)).includes(false)) return this.#wrong(page, first, count, first)
    const wrong = page.firstWrong(first, count, bytes)
    return wrong === -1 ? bytes : this.#wrong(page, first, count, wrong)
  }

  async put(page: Page, first: number, count: number, bytes: Uint8Array): Promise<boolean> {
    this.#checkOpen()
    if (this.#isHeld(page.stream, first, count)) return true
    if (this.#clock.now() < this.#retryAt) return false
    const work = this.#write(page, first, count, bytes)
    this.#pending.add(work)
    try {
      const isKept = await work
      if (isKept) this.#failures = 0
      return isKept
    } catch (error) {
      this.#suspend(error)
      return false
    } finally {
      this.#pending.delete(work)
    }
  }

  async delete(stream: StreamKey): Promise<void> {
    this.#checkOpen()
    await this.#writers.leave(stream)
    for (const slab of this.#index.slabs()) if (slab.stream === stream) await this.#evict(slab.id)
    await this.#rows.flush()
    await this.#rows.clear(keysUnder(`p/${streamPath(stream)}/`))
  }

  onLost(listener: (stream: StreamKey, range: ChunkRange) => void): void {
    this.#listeners.push(listener)
  }

  stats(): StoreStats {
    const { chunks, bytes } = this.#index.totals
    return { chunks, bytes, badChunks: this.#badChunks }
  }

  async descriptors(): Promise<{ name: string; signed: Signed }[]> {
    const found: { name: string; signed: Signed }[] = []
    try {
      for await (const [key, value] of this.#rows.written(keysUnder('d/'))) {
        const signed = decodeSigned(value)
        if (signed) found.push({ name: key.slice(2), signed })
      }
    } catch (error) {
      this.#log.warn(`descriptors in ${this.#directory} cannot be read and will be fetched anew: ${String(error)}`)
    }
    return found
  }

  async putDescriptor(name: string, signed: Signed): Promise<void> {
    this.#rows.set(descriptorKey(name), () => encodeSigned(signed))
  }

  async getPage(stream: StreamKey, first: number): Promise<Signed | undefined> {
    try {
      const value = await this.#rows.get(pageKey(stream, first))
      return value && decodeSigned(value)
    } catch (error) {
      this.#log.warn(`a page in ${this.#directory} cannot be read and will be fetched anew: ${String(error)}`)
      return undefined
    }
  }

  async putPage(stream: StreamKey, first: number, signed: Signed): Promise<void> {
    // While the disk takes none, they would pile up: a page that is not kept is fetched again after a restart.
    if (!this.#rows.isFailing) this.#rows.set(pageKey(stream, first), () => encodeSigned(signed))
  }

  async getPin(name: string): Promise<Uint8Array | undefined> {
    return this.#pins.get(name)
  }

  async putPin(name: string, publicKey: Uint8Array): Promise<void> {
    // The one thing here that must not be lost: without it a stranger's key could be taken for the first.
    const pin = Buffer.from(publicKey)
    this.#pins.set(name, pin)
    this.#rows.set(pinKey(name), () => pin)
    await this.#rows.flush({ sync: true })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.allSettled([...this.#pending])
    await this.#writers.close()
    this.#rows.set(usesKey, () => encodeUses(this.#index.byUse()))
    await this.#rows.close()
    await this.#files.close()
  }

  async #load(): Promise<void> {
    const files = await this.#files.list()
    for await (const [key, value] of this.#rows.written(keysUnder('k/'))) this.#pins.set(key.slice(2), value)
    const damaged: string[] = []
    for await (const [key, value] of this.#rows.written(keysUnder('x/'))) {
      const row = decodeExtent(key, value)
      const size = row && files.get(row.extent.slab)
      const slab = row && this.#index.slab(row.extent.slab)
      const isSound =
        row !== undefined &&
        size !== undefined &&
        row.extent.slabOffset + row.extent.bytes <= size &&
        (slab === undefined || slab.stream === row.stream) &&
        !this.#index.stream(row.stream)?.touches(row.extent.first, row.extent.first + row.extent.count)
      if (!isSound) {
        damaged.push(key)
        continue
      }
      if (!slab) this.#index.addSlab(row.extent.slab, row.stream, size)
      this.#index.add(row.stream, row.extent)
    }
    const uses = await this.#rows.get(usesKey)
    if (uses) for (const slab of decodeUses(uses)) this.#index.use(slab)
    for (const slab of files.keys()) {
      this.#writers.known(slab)
      if (!this.#index.slab(slab)) await this.#files.remove(slab)
    }
    this.#isLoaded = true
    for (const key of damaged) this.#rows.set(key, undefined)
  }

  #isHeld(stream: StreamKey, first: number, count: number): boolean {
    const extents = this.#index.stream(stream)
    for (let index = first; index < first + count; ) {
      const extent = extents?.at(index)
      if (!extent) return false
      index = extent.first + extent.count
    }
    return true
  }

  #pieces(page: Page, first: number, count: number): Piece[] | undefined {
    const extents = this.#index.stream(page.stream)
    const base = page.offsetOf(first)
    const pieces: Piece[] = []
    for (let index = first; index < first + count; ) {
      const extent = extents?.at(index)
      if (!extent) return undefined
      const upTo = Math.min(first + count, extent.first + extent.count)
      const offset = page.offsetOf(index)
      const slabOffset = extent.slabOffset + offset - extent.mediaOffset
      // A damaged row may point anywhere; what it points at is verified, but it must be a place in a file.
      pieces.push({
        slab: extent.slab,
        slabOffset: Math.max(0, slabOffset),
        start: offset - base,
        length: page.bytesOf(index, upTo - index),
      })
      index = upTo
    }
    return pieces
  }

  async #write(page: Page, first: number, count: number, bytes: Uint8Array): Promise<boolean> {
    const place = await this.#reserve(page.stream, bytes.length)
    if (!place) return false
    await this.#writers.write(place, bytes)
    // Evicted, or held by now from another put: the bytes are only space.
    if (!this.#index.slab(place.slab.id)) return false
    if (this.#index.stream(page.stream)?.touches(first, first + count)) {
      if (this.#isHeld(page.stream, first, count)) return true
      this.#index.cut(page.stream, first, first + count, (index) => page.offsetOf(index))
    }
    const extent: Extent = {
      first,
      count,
      mediaOffset: page.offsetOf(first),
      bytes: bytes.length,
      slab: place.slab.id,
      slabOffset: place.slabOffset,
    }
    this.#index.use(place.slab.id)
    this.#index.add(page.stream, extent)
    return true
  }

  /** A place for so many bytes at the end of the stream's slab; undefined when there is no room and none can be made. */
  async #reserve(stream: StreamKey, bytes: number): Promise<Place | undefined> {
    const before = this.#turn
    let next = () => {}
    this.#turn = new Promise((resolve) => {
      next = resolve
    })
    await before
    try {
      if (!(await this.#makeRoom(bytes))) return undefined
      return await this.#writers.reserve(stream, bytes)
    } finally {
      next()
    }
  }

  /** Keeps to the capacity and the free space; false when there is no room and none can be made. */
  async #makeRoom(bytes: number): Promise<boolean> {
    await this.#evictDownTo(this.#capacityBytes - bytes)
    if (this.#index.totals.slabBytes + bytes > this.#capacityBytes) return false
    this.#sinceFreeCheck += bytes
    if (this.#sinceFreeCheck < freeCheckBytes) return true
    this.#sinceFreeCheck = 0
    const lacking = this.#freeSpaceBytes + bytes - (await this.#files.freeBytes())
    if (lacking <= 0) return true
    const held = this.#index.totals.slabBytes
    await this.#evictDownTo(held - lacking)
    if (held - this.#index.totals.slabBytes >= lacking) return true
    this.#sinceFreeCheck = freeCheckBytes
    this.#suspend(new Failure('disk-full', `less than ${this.#freeSpaceBytes} bytes are free`))
    return false
  }

  async #evictDownTo(bytes: number): Promise<void> {
    const held = this.#index.totals.slabBytes
    if (held <= bytes) return
    for (const slab of pickEvictions(this.#index.slabs(), this.#writers.slabs, held, Math.max(0, bytes)))
      await this.#evict(slab)
  }

  async #evict(id: number): Promise<void> {
    const stream = this.#index.slab(id)?.stream
    if (stream === undefined) return
    const lost = this.#index.removeSlab(id)
    for (const range of lost) this.#lose(stream, range)
    await this.#files.remove(id)
  }

  #wrong(page: Page, first: number, count: number, wrong: number): undefined {
    this.#badChunks++
    this.#log.warn(`chunk ${wrong} of stream ${page.stream} was damaged on disk; dropped`)
    this.#index.cut(page.stream, first, first + count, (index) => page.offsetOf(index))
    this.#lose(page.stream, { first, end: first + count })
    return undefined
  }

  #lose(stream: StreamKey, range: ChunkRange): void {
    for (const listener of this.#listeners) listener(stream, range)
  }

  /** The disk does not take more now: pass chunks through uncached and try again later. */
  #suspend(error: unknown): void {
    // What else fails meanwhile is the same failure.
    if (this.#clock.now() < this.#retryAt) return
    const waitMs = 500 + backoffMs(this.#failures++, { firstMs: 500, maxMs: 30_000 }, () => 1)
    this.#retryAt = this.#clock.now() + waitMs
    const why = error instanceof Failure ? error.message : (errnoOf(error) ?? String(error))
    this.#log.warn(`the chunk store in ${this.#directory} takes no more for ${Math.round(waitMs)} ms: ${why}`)
  }

  #checkOpen(): void {
    if (this.#closing) throw new Failure('closed', 'the chunk store is closed')
  }
}

/** Part of a read that lies in one slab. */
interface Piece {
  slab: number
  slabOffset: number
  /** Offset in the answer. */
  start: number
  length: number
}
