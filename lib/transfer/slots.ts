/** Bytes asked from one peer and not yet here: no more than it may send without queueing. What somebody waits for goes first. */
export class Slots {
  readonly #capacity: () => number
  readonly #waiting: { bytes: number; isAwaited: () => boolean; go: () => void }[] = []
  #taken = 0

  constructor(capacity: () => number) {
    this.#capacity = capacity
  }

  /** Resolves when so many bytes may be asked for. `isAwaited` is looked at whenever there is room. */
  take(bytes: number, isAwaited: () => boolean): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#taken += bytes
      return Promise.resolve()
    }
    return new Promise((resolve) => this.#waiting.push({ bytes, isAwaited, go: resolve }))
  }

  /** They came, or will not come. */
  release(bytes: number): void {
    this.#taken -= bytes
    for (;;) {
      const at = Math.max(
        0,
        this.#waiting.findIndex((one) => one.isAwaited()),
      )
      const next = this.#waiting[at]
      if (!next || !this.#fits(next.bytes)) return
      this.#waiting.splice(at, 1)
      this.#taken += next.bytes
      next.go()
    }
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#capacity()
  }
}
