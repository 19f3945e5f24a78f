import { isUsed, release } from '../base/buffer-pool.ts'

/**
 * Verified runs in memory, least recently used out first: askers close together are served the very same bytes, read
 * and verified once. Holds at most `capacityBytes`, but always the two newest, so that a stream of large chunks moves.
 * It becomes the user of what is put in the place of who puts it (buffer-pool.ts). What had to go and is still on its way
 * to somebody is served on: its memory is taken as it is.
 */
export class RunCache {
  readonly #capacityBytes: number
  readonly #runs = new Map<string, Uint8Array>()
  /** Runs that had to go while others used them. */
  readonly #lent = new Map<string, Uint8Array>()
  #bytes = 0

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes
  }

  has(key: string): boolean {
    return this.#runs.has(key)
  }

  get(key: string): Uint8Array | undefined {
    const bytes = this.#runs.get(key)
    if (!bytes) return this.#stillLent(key)
    this.#runs.delete(key)
    this.#runs.set(key, bytes)
    return bytes
  }

  put(key: string, bytes: Uint8Array): void {
    this.delete(key)
    this.#runs.set(key, bytes)
    this.#bytes += bytes.length
    for (const lent of this.#lent.keys()) this.#stillLent(lent)
    for (const [oldest, left] of this.#runs) {
      if (this.#bytes <= this.#capacityBytes || this.#runs.size <= 2) break
      this.delete(oldest)
      if (isUsed(left)) this.#lent.set(oldest, left)
    }
  }

  delete(key: string): void {
    const bytes = this.#runs.get(key)
    if (!bytes) return
    this.#runs.delete(key)
    this.#bytes -= bytes.length
    release(bytes)
  }

  #stillLent(key: string): Uint8Array | undefined {
    const bytes = this.#lent.get(key)
    if (bytes && isUsed(bytes)) return bytes
    this.#lent.delete(key)
    return undefined
  }
}
