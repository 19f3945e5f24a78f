import { release } from '../base/buffer-pool.ts'

/**
 * Verified runs in memory, least recently used out first: askers close together are served the very same bytes, read
 * and verified once. Holds at most `capacityBytes`, but always the two newest, so that a stream of large chunks moves.
 * It becomes the user of what is put in the place of who puts it (buffer-pool.ts).
 */
export class RunCache {
  readonly #capacityBytes: number
  readonly #runs = new Map<string, Uint8Array>()
  #bytes = 0

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes
  }

  has(key: string): boolean {
    return this.#runs.has(key)
  }

  get(key: string): Uint8Array | undefined {
    const bytes = this.#runs.get(key)
    if (bytes) {
      this.#runs.delete(key)
      this.#runs.set(key, bytes)
    }
    return bytes
  }

  put(key: string, bytes: Uint8Array): void {
    this.delete(key)
    this.#runs.set(key, bytes)
    this.#bytes += bytes.length
    for (const [oldest] of this.#runs) {
      if (this.#bytes <= this.#capacityBytes || this.#runs.size <= 2) break
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    const bytes = this.#runs.get(key)
    if (!bytes) return
    this.#runs.delete(key)
    this.#bytes -= bytes.length
    release(bytes)
  }
}
