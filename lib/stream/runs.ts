/**
 * A run is what moves at once: consecutive chunks of one page, together at most `limits.runBytes`, of a film at most what plays in `limits.runMs`,
 * or one chunk that is larger. At the start of a stream they are shorter. Where runs begin follows from descriptor and page, so every node cuts a stream
 * alike: requests, cache entries, store writes and referrals all speak of the same runs, and 5 kB chunks cost what 1 MiB chunks cost.
 */
export interface Run {
  /** Index of the first chunk. */
  first: number
  count: number
}

/** Positions in the page where runs begin, in order. The first has at most `firstBytes`, and each one twice as many as that before it. */
export function cutRuns(sizes: ArrayLike<number>, runBytes: number, firstBytes = runBytes): Uint32Array {
  const starts: number[] = []
  let bytes = 0
  let mostBytes = firstBytes
  for (let at = 0; at < sizes.length; at++) {
    const size = sizes[at] ?? 0
    if (at === 0 || bytes + size > mostBytes) {
      if (at > 0) mostBytes = Math.min(runBytes, mostBytes * 2)
      starts.push(at)
      bytes = 0
    }
    bytes += size
  }
  return Uint32Array.from(starts)
}

/** The run that holds chunk `index` of a page. */
export function runAt(page: { first: number; count: number; runStarts: Uint32Array }, index: number): Run {
  const at = index - page.first
  let low = 0
  let high = page.runStarts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((page.runStarts[middle] ?? 0) <= at) low = middle
    else high = middle - 1
  }
  const start = page.runStarts[low] ?? 0
  return { first: page.first + start, count: (page.runStarts[low + 1] ?? page.count) - start }
}
