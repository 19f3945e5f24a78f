import { discard } from './discard.ts'
import { limits } from './limits.ts'

/**
 * Memory of runs that is used again, since what is left to V8 starts its collector again and again (docs/decisions/0009-buffer-pool.md).
 *
 * `pooled` gives a buffer with one user, who may hand it on; whoever uses it beside that one calls `retain`, and each calls
 * `release` when done. Behind the last one the memory goes to whoever asks next. A user that never says so does no harm: V8 takes the
 * memory in the end. Memory is reused no sooner than in the next turn of the event loop, so that who is given bytes by a promise has that
 * long to retain them. For other bytes than those of `pooled`, `retain` and `release` do nothing.
 */
export function pooled(sizeBytes: number): Buffer {
  if (!isPooled(sizeBytes)) return Buffer.allocUnsafeSlow(sizeBytes)
  const capacity = capacityFor(sizeBytes)
  const memory = free.get(capacity)?.pop()
  if (memory) freeBytes -= capacity
  const bytes = Buffer.from(memory ?? Buffer.allocUnsafeSlow(capacity).buffer, 0, sizeBytes)
  users.set(bytes, 1)
  return bytes
}

/** A copy of `bytes` with one user, in whose place it comes: `bytes` are empty afterwards. Small or very large ones stay as they are. */
export function intoPool(bytes: Uint8Array): Uint8Array {
  if (!isPooled(bytes.length)) return bytes
  const copy = pooled(bytes.length)
  copy.set(bytes)
  discard(bytes)
  return copy
}

export function retain(bytes: Uint8Array): void {
  const count = users.get(bytes)
  if (count !== undefined) users.set(bytes, count + 1)
}

export function release(bytes: Uint8Array): void {
  const count = users.get(bytes)
  if (count === undefined || count === 0) return
  users.set(bytes, count - 1)
  if (count > 1) return
  if (returning.size === 0) setImmediate(takeBack)
  returning.add(bytes)
}

/** Whether somebody uses the bytes of `pooled`; when not, their memory may be another's by now. */
export function isUsed(bytes: Uint8Array): boolean {
  return (users.get(bytes) ?? 0) > 0
}

/** `release` for somebody who says so late or never, and must not hold the memory meanwhile. */
export function releaseLater(bytes: Uint8Array): () => void {
  const held = new WeakRef(bytes)
  return () => {
    const left = held.deref()
    if (left) release(left)
  }
}

const granuleBytes = 128 * 1024
/** Larger than a run, for chunks that are. */
const mostBytes = 4 * 1024 * 1024

/** Of each buffer that was given out; its memory comes again as another buffer. */
const users = new WeakMap<Uint8Array, number>()
const free = new Map<number, ArrayBufferLike[]>()
let freeBytes = 0
/** Left by their last user in this turn of the event loop. */
const returning = new Set<Uint8Array>()

function isPooled(sizeBytes: number): boolean {
  return sizeBytes >= granuleBytes / 2 && sizeBytes <= mostBytes
}

function capacityFor(sizeBytes: number): number {
  return Math.ceil(sizeBytes / granuleBytes) * granuleBytes
}

function takeBack(): void {
  for (const bytes of returning) {
    if (isUsed(bytes)) continue
    users.delete(bytes)
    const memory = bytes.buffer
    if (freeBytes + memory.byteLength > limits.pooledBytes) continue
    freeBytes += memory.byteLength
    const same = free.get(memory.byteLength)
    if (same) same.push(memory)
    else free.set(memory.byteLength, [memory])
  }
  returning.clear()
}
