import { limits } from '../base/limits.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { StreamRow } from '../network/contract.ts'
import type { PublishedStream } from '../store/published-stream.ts'
import type { VideoDatabase } from '../store/video-database.ts'
import type { Page } from '../stream/page.ts'
import type { Run } from '../stream/runs.ts'
import { runKey } from '../transfer/prefetcher.ts'
import { rowOf } from '../transfer/remote-streams.ts'
import { RunCache } from '../transfer/run-cache.ts'
import type { Provider } from './provider.ts'

/** Serves the streams of a video database; what is published while it runs is served at once. */
export class SourceProvider implements Provider {
  readonly chain = []
  readonly master = null
  readonly stored = null
  readonly #database: VideoDatabase
  readonly #cache = new RunCache(limits.cacheBytes)
  readonly #reading = new SingleFlight<string, Uint8Array | undefined>()
  #badChunks = 0
  readonly #onRead: (bytes: number) => void

  constructor(database: VideoDatabase, onRead: (bytes: number) => void) {
    this.#database = database
    this.#onRead = onRead
  }

  get badChunks(): number {
    return this.#badChunks
  }

  async list(): Promise<StreamRow[]> {
    const rows: StreamRow[] = []
    for (const name of (await this.#database.names()).slice(0, limits.streamsPerNode)) {
      const stream = await this.#database.find(name)
      if (stream) rows.push(rowOf(stream.descriptor))
    }
    return rows
  }

  find(name: string): Promise<PublishedStream | undefined> {
    return this.#database.find(name)
  }

  async read(stream: PublishedStream, page: Page, run: Run): Promise<Uint8Array | undefined> {
    const key = runKey(page.stream, run.first)
    const cached = this.#cache.get(key)
    if (cached) return cached
    return this.#reading.run(key, async () => {
      const bytes = await stream.read(page, run.first, run.count)
      if (!bytes) {
        this.#badChunks++
        return undefined
      }
      this.#onRead(bytes.length)
      this.#cache.put(key, bytes)
      return bytes
    })
  }
}
