import type { Slab } from './slab-index.ts'

/** When more than `capacityBytes` are held, space is made down to this share of it, so that evictions come in batches. */
export const lowMark = 0.9

/** Which slabs to evict, least recently used first; those being written last. Pure. */
export function pickEvictions(
  slabs: readonly Slab[],
  writing: ReadonlySet<number>,
  heldBytes: number,
  capacityBytes: number,
): number[] {
  if (heldBytes <= capacityBytes) return []
  const oldest = [...slabs].sort((a, b) => Number(writing.has(a.id)) - Number(writing.has(b.id)) || a.usedAt - b.usedAt)
  const evicted: number[] = []
  let held = heldBytes
  for (const slab of oldest) {
    if (held <= capacityBytes * lowMark || writing.has(slab.id)) break
    evicted.push(slab.id)
    held -= slab.bytes
  }
  return evicted
}
