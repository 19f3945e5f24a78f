/** Consecutive chunks: `first` inclusive, `end` exclusive. */
export type Range = [first: number, end: number]

/** A set of chunk indexes as sorted, disjoint ranges that do not touch: a whole film is one entry. */
export class RangeSet {
  #ranges: Range[] = []

  add(first: number, end: number): void {
    if (end <= first) return
    const from = this.#firstEndingAtOrAfter(first)
    let to = from
    let start = first
    let stop = end
    for (; to < this.#ranges.length; to++) {
      const range = this.#ranges[to]
      if (!range || range[0] > end) break
      start = Math.min(start, range[0])
      stop = Math.max(stop, range[1])
    }
    this.#ranges.splice(from, to - from, [start, stop])
  }

  remove(first: number, end: number): void {
    if (end <= first) return
    const kept: Range[] = []
    for (const [start, stop] of this.#ranges) {
      if (stop <= first || start >= end) {
        kept.push([start, stop])
        continue
      }
      if (start < first) kept.push([start, first])
      if (stop > end) kept.push([end, stop])
    }
    this.#ranges = kept
  }

  has(index: number): boolean {
    const range = this.#ranges[this.#firstEndingAtOrAfter(index + 1)]
    return range !== undefined && range[0] <= index
  }

  /** Whether all of `first` to `end` is in the set. */
  covers(first: number, end: number): boolean {
    const range = this.#ranges[this.#firstEndingAtOrAfter(end)]
    return range !== undefined && range[0] <= first
  }

  list(): Range[] {
    return this.#ranges.map(([first, end]) => [first, end])
  }

  /** How many indexes are in the set. */
  get size(): number {
    return this.#ranges.reduce((sum, [first, end]) => sum + end - first, 0)
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }

  #firstEndingAtOrAfter(index: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#ranges[middle]?.[1] ?? 0) < index) low = middle + 1
      else high = middle
    }
    return low
  }
}
