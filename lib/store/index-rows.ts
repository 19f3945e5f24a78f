import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import { type Index, openIndex } from './store-directory.ts'

/** A row that changed, encoded when its batch is written; undefined: the row goes. */
type Row = (() => Buffer) | undefined

/** Rows changed in memory reach the disk within this time, ms; a kill loses no more than that of a cache. */
const flushMs = 200
/** When a disk did not take rows, it is asked again after this time, ms. */
const retryMs = 1000

export interface IndexRowsOptions {
  clock: Clock
  log: Logger
  /** Called each time when rows could not be written; they are kept and tried again. */
  onFailure: (error: unknown) => void
}

/** Rows on their way to LevelDB: what was set is read back at once and written in batches, also behind a disk that failed for a while. */
export class IndexRows {
  readonly #directory: string
  readonly #options: IndexRowsOptions
  readonly #pending = new Map<string, Row>()
  #db: Index
  #cancelFlush: (() => void) | undefined
  /** Flushes happen one after another. */
  #flushing: Promise<boolean> = Promise.resolve(true)
  #isFailing = false
  #isClosing = false

  constructor(directory: string, db: Index, options: IndexRowsOptions) {
    this.#directory = directory
    this.#db = db
    this.#options = options
  }

  /** Whether the last rows could not be written. */
  get isFailing(): boolean {
    return this.#isFailing
  }

  set(key: string, row: Row): void {
    this.#pending.set(key, row)
    this.#flushAfter(flushMs)
  }

  /** Throws when the disk cannot be read. */
  async get(key: string): Promise<Buffer | undefined> {
    return this.#pending.has(key) ? this.#pending.get(key)?.() : this.#db.get(key)
  }

  /** Written rows, in the order of their keys. Throws when the disk cannot be read. */
  written(range: { gte: string; lt: string }): AsyncIterable<[string, Buffer]> {
    return this.#db.iterator(range)
  }

  /** Removes written rows; throws when the disk does not let them go. */
  clear(range: { gte: string; lt: string }): Promise<void> {
    return this.#db.clear(range)
  }

  /** Writes what was set; false when that failed: it is tried again later. `sync`: a crash of the system loses none of it, either. */
  flush(options: { sync?: boolean } = {}): Promise<boolean> {
    this.#flushing = this.#flushing.then(() => this.#write(options.sync ?? false))
    return this.#flushing
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#cancelFlush?.()
    await this.flush()
    await this.#db.close()
  }

  async #write(sync: boolean): Promise<boolean> {
    const rows = [...this.#pending]
    this.#pending.clear()
    if (rows.length === 0) return true
    try {
      if (this.#db.status !== 'open') this.#db = await openIndex(this.#directory, this.#options.log)
      await this.#db.batch(
        rows.map(([key, row]) => (row ? { type: 'put', key, value: row() } : { type: 'del', key })),
        { sync },
      )
      this.#isFailing = false
      return true
    } catch (error) {
      for (const [key, row] of rows) if (!this.#pending.has(key)) this.#pending.set(key, row)
      this.#isFailing = true
      this.#options.onFailure(error)
      // One failed write poisons a LevelDB handle for good; closing and opening it again cures that.
      await this.#db.close()
      this.#flushAfter(retryMs)
      return false
    }
  }

  #flushAfter(ms: number): void {
    if (this.#isClosing) return
    this.#cancelFlush ??= this.#options.clock.after(ms, () => {
      this.#cancelFlush = undefined
      void this.flush()
    })
  }
}
