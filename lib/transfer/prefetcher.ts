import type { Clock } from '../base/clock.ts'
import { abortable } from '../base/deadline.ts'
import { Failure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Peers } from '../network/peers.ts'
import type { Uplink } from '../network/uplink.ts'
import type { Address } from '../stream/address.ts'
import type { Page } from '../stream/page.ts'
import { type Run, runAt } from '../stream/runs.ts'
import type { StreamKey } from '../stream/stream-key.ts'
import type { FetchedRun } from './fetch-round.ts'
import type { Fetcher } from './fetcher.ts'
import type { KnownStream } from './known-stream.ts'
import { Slots } from './slots.ts'

/** Where fetched runs go, and where it is known which are there already. */
export interface Shelf {
  has(stream: StreamKey, run: Run): boolean
  /** The bytes as the shelf holds them; those that came are not used any more. */
  adopt(bytes: Uint8Array): Uint8Array
  /** Resolves when there is room for more. */
  keep(page: Page, run: Run, fetched: FetchedRun): Promise<void>
}

export interface PrefetcherOptions {
  fetcher: Fetcher
  uplink: Uplink
  peers: Peers
  clock: Clock
  shelf: Shelf
  /** Bytes fetched ahead of all readers together. */
  windowBytes: number
  /** Bytes asked from one peer and not yet here, at most; at present. */
  inFlightBytes(address: Address): number
}

/** A reader that asked for nothing for this long is gone, ms. */
const readerIdleMs = 15_000
/** A sibling may be sent here before the answer that tells this node to get the run has arrived; it waits so long, ms. */
export const graceMs = 600

/**
 * Fetches each run once however many ask for it, and fetches ahead of readers. Each reader (a streamer, a child, the local output) has
 * a window that follows its position; a jump moves the window, and runs that were planned for the old one and not begun are
 * dropped. The master is asked for whole stretches of the window at once whom to ask for which run.
 */
export class Prefetcher {
  readonly #options: PrefetcherOptions
  readonly #underWay = new Map<string, UnderWay>()
  readonly #readers = new Map<string, Reader>()
  readonly #starting = new Map<string, (() => void)[]>()
  readonly #slots = new Map<Address, Slots>()
  #closed = false

  constructor(options: PrefetcherOptions) {
    this.#options = options
  }

  /** Bytes of a run that the shelf does not have. Rejects when `signal` aborts; the fetch itself goes on for others. */
  read(stream: KnownStream, page: Page, run: Run, signal: AbortSignal): Promise<FetchedRun> {
    const running = this.#underWay.get(runKey(page.stream, run.first))
    const entry = running ?? this.#begin(stream, page, run, this.#whomToAsk(stream, run.first, run.first + run.count))
    entry.isAwaited = true
    return abortable(entry.fetched, signal)
  }

  /** Moves the window of `reader` to begin behind `run`. */
  follow(reader: string, stream: KnownStream, page: Page, run: Run): void {
    const now = this.#options.clock.now()
    let state = this.#readers.get(reader)
    const end = page.offsetOf(run.first) + page.bytesOf(run.first, run.count)
    if (!state || this.#jumped(state, page, run)) {
      if (state) state.isLeft = true
      state = {
        stream,
        readTo: end,
        aheadTo: end,
        cursor: run.first + run.count,
        seenAt: now,
        busy: false,
        isLeft: false,
      }
      this.#readers.set(reader, state)
      this.#forgetIdle(now)
    }
    // Requests of one reader overlap and may arrive out of order.
    state.readTo = Math.max(state.readTo, end)
    state.seenAt = now
    // Half a window at a time: one query then serves many runs.
    if (!state.busy && state.aheadTo - end <= this.#windowBytes() / 2) void this.#advance(reader, state)
  }

  /** The run if it is being fetched, or begins to be within the grace time; for siblings, who may not cause a fetch. */
  async underWay(stream: StreamKey, first: number, signal: AbortSignal): Promise<FetchedRun | undefined> {
    const key = runKey(stream, first)
    if (!this.#underWay.has(key)) await this.#begun(key, signal)
    const entry = this.#underWay.get(key)
    if (!entry) return undefined
    entry.isAwaited = true
    return abortable(entry.fetched, signal)
  }

  close(): void {
    this.#closed = true
    this.#readers.clear()
    for (const { abort } of this.#underWay.values()) abort.abort(new Failure('closed', 'the node is closing'))
  }

  async #advance(name: string, reader: Reader): Promise<void> {
    reader.busy = true
    try {
      const { stream } = reader
      const limit = reader.readTo + this.#windowBytes()
      while (!this.#closed && this.#readers.get(name) === reader) {
        if (reader.aheadTo >= limit || reader.cursor >= stream.descriptor.chunkCount) return
        const page = await stream.page(reader.cursor)
        const runs: Run[] = []
        while (page.has(reader.cursor) && reader.aheadTo < limit) {
          const run = runAt(page, reader.cursor)
          if (!this.#options.shelf.has(page.stream, run) && !this.#underWay.has(runKey(page.stream, run.first)))
            runs.push(run)
          reader.cursor = run.first + run.count
          reader.aheadTo = page.offsetOf(run.first) + page.bytesOf(run.first, run.count)
        }
        const [first, last] = [runs[0], runs.at(-1)]
        if (!first || !last) continue
        const asking = this.#whomToAsk(stream, first.first, last.first + last.count)
        for (const run of runs) {
          if (this.#underWay.has(runKey(page.stream, run.first))) continue
          // Nobody waits for it yet: a failure is told to whoever asks next.
          this.#begin(stream, page, run, asking, reader).fetched.catch(() => {})
        }
        await asking
      }
    } catch {
      // The page could not be had now; the reader's next request tells it so, or tries again.
    } finally {
      reader.busy = false
    }
  }

  #begin(
    stream: KnownStream,
    page: Page,
    run: Run,
    asking: Promise<Assignments | undefined>,
    reader?: Reader,
  ): UnderWay {
    const key = runKey(page.stream, run.first)
    const abort = new AbortController()
    const isUnwanted = () => !entry.isAwaited && reader !== undefined && reader.isLeft
    const isAwaited = () => entry.isAwaited
    const fetched = this.#fetch(stream, page, run, asking, abort, { isUnwanted, isAwaited })
    const entry: UnderWay = { abort, fetched, isAwaited: false }
    this.#underWay.set(key, entry)
    const ended = () => this.#underWay.delete(key)
    fetched.then(ended, ended)
    for (const wake of this.#starting.get(key) ?? []) wake()
    return entry
  }

  async #fetch(
    stream: KnownStream,
    page: Page,
    run: Run,
    asking: Promise<Assignments | undefined>,
    abort: AbortController,
    { isUnwanted, isAwaited }: { isUnwanted(): boolean; isAwaited(): boolean },
  ): Promise<FetchedRun> {
    const { clock, fetcher, shelf, uplink } = this.#options
    const siblings = siblingsFor(await asking, run)
    const slots = this.#slotsOf(siblings?.[0] ?? uplink.current ?? '')
    const sizeBytes = page.bytesOf(run.first, run.count)
    await slots.take(sizeBytes, isAwaited)
    let hasRoom: Promise<void> | undefined
    const cancelLimit = clock.after(limits.fetchMs, () => abort.abort(fetcher.unavailable()))
    try {
      if (isUnwanted()) throw new Failure('aborted', 'the reader went elsewhere')
      const received = await fetcher.fetch({ stream, page, run }, siblings, abort.signal)
      const fetched = { ...received, bytes: shelf.adopt(received.bytes) }
      hasRoom = shelf.keep(page, run, fetched)
      return fetched
    } finally {
      cancelLimit()
      // Readers get the run at once; only the next one from this peer waits.
      if (hasRoom) void hasRoom.finally(() => slots.release(sizeBytes))
      else slots.release(sizeBytes)
    }
  }

  /** Which siblings to ask for the runs between two chunks; undefined when the master did not say. */
  async #whomToAsk(stream: KnownStream, first: number, end: number): Promise<Assignments | undefined> {
    const { uplink, peers, clock } = this.#options
    const [master, lease] = [uplink.current, uplink.lease]
    if (!uplink.shares || !master || !lease) return undefined
    const { name, epoch } = stream.descriptor
    const avoid = peers.known().filter((peer) => peer.badAt.length > 0 || peer.avoidUntil > clock.now())
    try {
      const window = { first, end, epoch, lease, avoid: avoid.map((peer) => peer.address) }
      return await peers.at(master).query(name, window, { timeoutMs: 1500 })
    } catch (error) {
      uplink.noteFailure(master, error)
      return undefined
    }
  }

  #jumped(reader: Reader, page: Page, run: Run): boolean {
    if (reader.stream.descriptor.stream !== page.stream) return true
    const offset = page.offsetOf(run.first)
    return offset > Math.max(reader.readTo, reader.aheadTo) || offset < reader.readTo - this.#options.windowBytes * 2
  }

  #begun(key: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#starting.get(key) ?? []
      this.#starting.set(key, waiting)
      const wake = () => {
        cancel()
        signal.removeEventListener('abort', wake)
        const left = waiting.filter((other) => other !== wake)
        if (left.length > 0) this.#starting.set(key, left)
        else this.#starting.delete(key)
        resolve()
      }
      waiting.push(wake)
      const cancel = this.#options.clock.after(graceMs, wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  #windowBytes(): number {
    return this.#options.windowBytes / Math.min(4, Math.max(1, this.#readers.size))
  }

  #forgetIdle(now: number): void {
    for (const [name, reader] of this.#readers) {
      if (now - reader.seenAt <= readerIdleMs) continue
      reader.isLeft = true
      this.#readers.delete(name)
    }
  }

  #slotsOf(address: Address): Slots {
    let slots = this.#slots.get(address)
    if (!slots) {
      slots = new Slots(() => this.#options.inFlightBytes(address))
      this.#slots.set(address, slots)
    }
    return slots
  }
}

type Assignments = { first: number; end: number; peers: Address[] }[]

interface UnderWay {
  fetched: Promise<FetchedRun>
  abort: AbortController
  /** Whether somebody asked for it; otherwise it is only fetched ahead. */
  isAwaited: boolean
}

interface Reader {
  stream: KnownStream
  /** Offset in the media file where the run ends that was asked for last. */
  readTo: number
  /** Offset up to which runs were planned. */
  aheadTo: number
  /** Index of the next chunk to plan. */
  cursor: number
  seenAt: number
  /** Whether a stretch is being planned. */
  busy: boolean
  /** Whether the reader jumped elsewhere or went away. */
  isLeft: boolean
}

export function runKey(stream: StreamKey, first: number): string {
  return `${stream}:${first}`
}

function siblingsFor(assignments: Assignments | undefined, run: Run): Address[] | undefined {
  return assignments?.find((part) => part.first <= run.first && run.first < part.end)?.peers
}
