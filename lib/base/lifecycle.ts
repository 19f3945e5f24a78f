export interface Closeable {
  /** Releases everything; idempotent; waits until it is released. */
  close(): Promise<void>
}

/** Owns what was opened and closes it in the reverse order, once, even when one of them fails to close. */
export class Lifecycle implements Closeable {
  readonly #owned: Closeable[] = []
  #closing: Promise<void> | undefined

  own<T extends Closeable>(resource: T): T {
    this.#owned.push(resource)
    return resource
  }

  onClose(release: () => void | Promise<void>): void {
    this.#owned.push({ close: async () => release() })
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async #closeAll(): Promise<void> {
    const errors: unknown[] = []
    for (const resource of this.#owned.reverse()) {
      await resource.close().catch((error) => errors.push(error))
    }
    if (errors.length > 0) throw errors[0]
  }
}
