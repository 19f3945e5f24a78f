import type { ChunkRange } from './chunk-store.ts'

/** Consecutive chunks of one stream that lie one after another in one slab. */
export interface Extent {
  /** Index of the first chunk. */
  first: number
  count: number
  /** Offset of the first chunk in the media file: with a page's offsets it tells where every chunk lies in the slab. */
  mediaOffset: number
  bytes: number
  slab: number
  slabOffset: number
}

/** The extents of one stream: sorted, without overlap, joined where one continues another in the same slab. Pure. */
export class Extents {
  #list: Extent[] = []

  /** Adds an extent whose chunks are not held yet; returns the one it became part of, and the one that it swallowed. */
  add(extent: Extent): { joined: Extent; removed: Extent | undefined } {
    const at = this.#after(extent.first)
    const before = this.#list[at - 1]
    const behind = this.#list[at]
    let joined = extent
    if (before && continues(before, extent)) {
      before.count += extent.count
      before.bytes += extent.bytes
      joined = before
    } else {
      this.#list.splice(at, 0, extent)
    }
    if (!behind || !continues(joined, behind)) return { joined, removed: undefined }
    joined.count += behind.count
    joined.bytes += behind.bytes
    this.#list.splice(this.#list.indexOf(behind, Math.max(0, at - 1)), 1)
    return { joined, removed: behind }
  }

  /** The extent that holds chunk `index`. */
  at(index: number): Extent | undefined {
    const extent = this.#list[this.#after(index) - 1]
    return extent && index < extent.first + extent.count ? extent : undefined
  }

  /** The next extent from chunk `index` on, itself included. */
  from(index: number): Extent | undefined {
    return this.at(index) ?? this.#list[this.#after(index)]
  }

  /** Whether any chunk from `first` up to `end` is held. */
  touches(first: number, end: number): boolean {
    const next = this.from(first)
    return next !== undefined && next.first < end
  }

  remove(extent: Extent): void {
    const at = this.#after(extent.first) - 1
    if (this.#list[at] === extent) this.#list.splice(at, 1)
  }

  /** Held ranges, neighbours in different slabs merged. */
  ranges(): ChunkRange[] {
    const ranges: ChunkRange[] = []
    for (const { first, count } of this.#list) {
      const last = ranges.at(-1)
      if (last && last.end === first) last.end = first + count
      else ranges.push({ first, end: first + count })
    }
    return ranges
  }

  all(): readonly Extent[] {
    return this.#list
  }

  get isEmpty(): boolean {
    return this.#list.length === 0
  }

  /** Position of the first extent that starts after `index`. */
  #after(index: number): number {
    let low = 0
    let high = this.#list.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#list[middle]?.first ?? 0) <= index) low = middle + 1
      else high = middle
    }
    return low
  }
}

function continues(one: Extent, next: Extent): boolean {
  return (
    one.slab === next.slab &&
    one.first + one.count === next.first &&
    one.slabOffset + one.bytes === next.slabOffset &&
    one.mediaOffset + one.bytes === next.mediaOffset
  )
}
