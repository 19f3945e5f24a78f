import { backoffMs } from '../base/backoff.ts'
import { type Chance, type Clock, pause } from '../base/clock.ts'
import { Failure, isFailure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { PublishReply } from '../network/contract.ts'
import type { Peer } from '../network/peer.ts'
import type { PublishedStream } from '../store/published-stream.ts'
import { runAt } from '../stream/runs.ts'
import type { Signed } from '../stream/signed.ts'

export interface HandOverOptions {
  source: Peer
  stream: PublishedStream
  /** Whether it may take the place of what is published under the name. */
  replace: boolean
  clock: Clock
  chance: Chance
  signal: AbortSignal
  /** How long to try again while the source takes nothing, ms; default 60,000. */
  patienceMs?: number
  /** Bytes of chunks that the source has. */
  onProgress?(doneBytes: number, totalBytes: number): void
}

/** What was sent, beside what the source had already. */
export interface HandedOver {
  chunks: number
  bytes: number
}

const defaultPatienceMs = 60_000
/** The source verifies what it has before it answers `publish`, and sees all to its disk before it answers `publishEnd`. */
const longTimeoutMs = 10 * 60_000
/** Pages of one call; its frame must stay below `limits.frameBytes`. */
const pagesBytes = 4 * 1024 * 1024
const retry = { firstMs: 200, maxMs: 3000 }

/**
 * Hands a stream over to a source, all of it or nothing. When the connection breaks or the source is restarted, goes on
 * behind what the source has. Throws what the source refused with, or why it could not be reached for `patienceMs`.
 */
export async function handOver(options: HandOverOptions): Promise<HandedOver> {
  const { source, clock, chance, signal, patienceMs = defaultPatienceMs } = options
  const attempt = new Attempt(options)
  // What is under way when a connection breaks is lost; heartbeats would tell that only after seconds.
  source.onDisconnect(() => source.abandon())
  let giveUpAt = clock.now() + patienceMs
  for (let failed = 0; ; ) {
    const before = attempt.sent.bytes
    try {
      await attempt.run()
      return attempt.sent
    } catch (error) {
      signal.throwIfAborted()
      if (!mayPass(error)) throw error
      if (attempt.sent.bytes > before) {
        giveUpAt = clock.now() + patienceMs
        failed = 0
      }
      if (clock.now() >= giveUpAt) throw error
      await pause(clock, backoffMs(failed++, retry, chance), signal)
    }
  }
}

/** The same call may succeed later. `not-found`: the source does not know the upload since it was restarted. */
function mayPass(error: unknown): boolean {
  return isFailure(error, 'unreachable', 'timeout', 'closed', 'not-found')
}

/** One connection's worth of handing over, and what was sent in all. */
class Attempt {
  readonly sent: HandedOver = { chunks: 0, bytes: 0 }
  readonly #options: HandOverOptions
  #content: Buffer | undefined

  constructor(options: HandOverOptions) {
    this.#options = options
  }

  async run(): Promise<void> {
    const { source, stream, replace, signal } = this.#options
    this.#content ??= await stream.contentDigest()
    const { signed } = stream.descriptor
    const begun = await source.publish(signed, this.#content, { replace }, { signal, timeoutMs: longTimeoutMs })
    if (begun.done) return
    await this.#sendPages(begun)
    await this.#sendChunks(begun)
    await source.publishEnd(begun.upload, { signal, timeoutMs: longTimeoutMs })
  }

  async #sendPages({ upload, pages }: PublishReply): Promise<void> {
    const { source, stream, signal } = this.#options
    const { chunkCount, fields } = stream.descriptor
    let batch: Signed[] = []
    let batchBytes = 0
    let from = pages
    for (let index = pages * fields.pageRecords; index < chunkCount; ) {
      const page = await stream.page(index)
      index = page.end
      batch.push(page.signed)
      batchBytes += page.signed.body.length
      if (batchBytes < pagesBytes && batch.length < 64 && index < chunkCount) continue
      await source.publishPages(upload, from, batch, { signal })
      from += batch.length
      batch = []
      batchBytes = 0
    }
  }

  /** Sends runs in order, up to `limits.windowBytes` under way. */
  async #sendChunks({ upload, chunks }: PublishReply): Promise<void> {
    const { stream, signal } = this.#options
    const { chunkCount } = stream.descriptor
    const underWay = new Set<Promise<void>>()
    let underWayBytes = 0
    let failure: unknown
    await this.#tell(chunks)
    for (let index = chunks; index < chunkCount && failure === undefined; ) {
      signal.throwIfAborted()
      const page = await stream.page(index)
      const run = runAt(page, index)
      const count = run.first + run.count - index
      const bytes = await stream.read(page, index, count)
      if (!bytes)
        throw new Failure('bad-digest', 'the cut copy of the film on this machine was damaged; publish it again')
      const call = this.#send(upload, index, count, bytes)
        .catch((error) => {
          failure ??= error
        })
        .finally(() => {
          underWay.delete(call)
          underWayBytes -= bytes.length
        })
      underWay.add(call)
      underWayBytes += bytes.length
      index += count
      while (underWayBytes >= limits.windowBytes) await Promise.race(underWay)
    }
    await Promise.all(underWay)
    if (failure !== undefined) throw failure
  }

  async #send(upload: string, first: number, count: number, bytes: Uint8Array): Promise<void> {
    const { source, signal } = this.#options
    await source.publishChunks(upload, first, count, bytes, { signal })
    this.sent.chunks += count
    this.sent.bytes += bytes.length
    await this.#tell(first + count)
  }

  async #tell(chunks: number): Promise<void> {
    const { stream, onProgress } = this.#options
    if (!onProgress) return
    const { chunkBytes, chunkCount } = stream.descriptor.fields
    const offset = chunks < chunkCount ? (await stream.page(chunks)).offsetOf(chunks) : stream.descriptor.mediaBytes
    onProgress(offset - stream.descriptor.init.length, chunkBytes)
  }
}
