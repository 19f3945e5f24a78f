import type { StreamKey } from '../stream/stream-key.ts'
import type { ChunkRange } from './chunk-store.ts'
import { type Extent, Extents } from './extents.ts'

/** What the store keeps of one slab, which holds chunks of one stream only. */
export interface Slab {
  id: number
  stream: StreamKey
  /** Bytes in the file, of chunks that are no longer held too. */
  bytes: number
  /** Grows with each use of any slab: the smallest was used least recently. */
  usedAt: number
}

/** A change of the index, for the rows on disk. */
export interface RowChange {
  stream: StreamKey
  /** First chunk of the extent: names the row. */
  first: number
  /** Undefined: the row goes. */
  extent: Extent | undefined
}

/** The whole index in memory: extents per stream, slabs and their last use. Pure; tells every change of a row to `changed`. */
export class SlabIndex {
  readonly #streams = new Map<StreamKey, Extents>()
  readonly #slabs = new Map<number, Slab>()
  readonly #changed: (change: RowChange) => void
  #uses = 0
  #chunks = 0
  #chunkBytes = 0
  #slabBytes = 0

  constructor(changed: (change: RowChange) => void) {
    this.#changed = changed
  }

  stream(stream: StreamKey): Extents | undefined {
    return this.#streams.get(stream)
  }

  streams(): StreamKey[] {
    return [...this.#streams.keys()]
  }

  slab(id: number): Slab | undefined {
    return this.#slabs.get(id)
  }

  slabs(): Slab[] {
    return [...this.#slabs.values()]
  }

  /** Chunks held and their bytes; bytes of slab files. */
  get totals(): { chunks: number; bytes: number; slabBytes: number } {
    return { chunks: this.#chunks, bytes: this.#chunkBytes, slabBytes: this.#slabBytes }
  }

  addSlab(id: number, stream: StreamKey, bytes = 0): Slab {
    const slab = { id, stream, bytes, usedAt: ++this.#uses }
    this.#slabs.set(id, slab)
    this.#slabBytes += bytes
    return slab
  }

  grow(slab: Slab, bytes: number): void {
    slab.bytes += bytes
    this.#slabBytes += bytes
  }

  use(id: number): void {
    const slab = this.#slabs.get(id)
    if (slab) slab.usedAt = ++this.#uses
  }

  add(stream: StreamKey, extent: Extent): void {
    let extents = this.#streams.get(stream)
    if (!extents) {
      extents = new Extents()
      this.#streams.set(stream, extents)
    }
    this.#chunks += extent.count
    this.#chunkBytes += extent.bytes
    const { joined, removed } = extents.add(extent)
    this.#changed({ stream, first: joined.first, extent: joined })
    if (removed) this.#changed({ stream, first: removed.first, extent: undefined })
  }

  /** Drops the chunks from `first` up to `end`; `mediaOffsetOf` tells where a chunk begins in the media file. */
  cut(stream: StreamKey, first: number, end: number, mediaOffsetOf: (index: number) => number): void {
    const extents = this.#streams.get(stream)
    for (let extent = extents?.from(first); extent && extent.first < end; extent = extents?.from(first)) {
      this.#drop(stream, extent)
      for (const [from, to] of [
        [extent.first, Math.min(first, extent.first + extent.count)],
        [Math.max(end, extent.first), extent.first + extent.count],
      ] as const) {
        if (to > from) this.add(stream, partOf(extent, from, to, mediaOffsetOf))
      }
    }
  }

  /** Drops a slab and all that it held; returns the ranges that are no longer held. */
  removeSlab(id: number): ChunkRange[] {
    const slab = this.#slabs.get(id)
    if (!slab) return []
    this.#slabs.delete(id)
    this.#slabBytes -= slab.bytes
    const gone = (this.#streams.get(slab.stream)?.all() ?? []).filter((extent) => extent.slab === id)
    for (const extent of gone) this.#drop(slab.stream, extent)
    return gone.map(({ first, count }) => ({ first, end: first + count }))
  }

  /** Slab ids, least recently used first. */
  byUse(): number[] {
    return this.slabs()
      .sort((a, b) => a.usedAt - b.usedAt)
      .map((slab) => slab.id)
  }

  #drop(stream: StreamKey, extent: Extent): void {
    const extents = this.#streams.get(stream)
    extents?.remove(extent)
    if (extents?.isEmpty) this.#streams.delete(stream)
    this.#chunks -= extent.count
    this.#chunkBytes -= extent.bytes
    this.#changed({ stream, first: extent.first, extent: undefined })
  }
}

function partOf(extent: Extent, from: number, to: number, mediaOffsetOf: (index: number) => number): Extent {
  const start = from === extent.first ? extent.mediaOffset : mediaOffsetOf(from)
  const end = to === extent.first + extent.count ? extent.mediaOffset + extent.bytes : mediaOffsetOf(to)
  const slabOffset = extent.slabOffset + start - extent.mediaOffset
  return { first: from, count: to - from, mediaOffset: start, bytes: end - start, slab: extent.slab, slabOffset }
}
