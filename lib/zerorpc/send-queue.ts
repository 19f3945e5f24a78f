import type { Clock } from '../base/clock.ts'
import { errnoOf } from '../base/errors.ts'
import { Breather, bytesOf } from './breather.ts'

export interface SendQueueOptions {
  clock: Clock
  /** Hands frames to the socket; rejects with EAGAIN when the peer does not read, with EHOSTUNREACH when it is gone. */
  send(frames: Uint8Array[]): Promise<void>
  /** Messages and bytes kept for one peer that does not read; beyond them it counts as gone. */
  perPeer: { messages: number; bytes: number }
  /** The peer is gone, or does not read. */
  onGone(peer: string): void
}

/** A peer that did not read is tried again after this, ms. */
const retryMs = 5

/**
 * The one writer of a ROUTER socket. Messages leave in order per peer; those for a peer that does not read wait in a bounded
 * queue of its own and hold up nobody else.
 */
export class SendQueue {
  readonly #options: SendQueueOptions
  readonly #ready: { peer: string; frames: Uint8Array[] }[] = []
  readonly #stalled = new Map<string, Stalled>()
  #writing: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  #closed = false
  bytesSent = 0

  constructor(options: SendQueueOptions) {
    this.#options = options
  }

  push(peer: string, frames: Uint8Array[]): void {
    if (this.#closed) return
    if (this.#stalled.has(peer)) return this.#stall(peer, frames)
    this.#ready.push({ peer, frames })
    this.#start()
  }

  /** Undefined when the peer reads; else resolves when it does again, or is gone. A stream waits for it and is never cut. */
  whenReading(peer: string): Promise<void> | undefined {
    const stalled = this.#stalled.get(peer)
    return stalled && new Promise((resolve) => stalled.waiting.push(resolve))
  }

  /** Sends what can be sent at once and ends. */
  async close(): Promise<void> {
    this.#cancelRetry?.()
    await this.#writing
    this.#closed = true
    for (const peer of [...this.#stalled.keys()]) this.#unstall(peer)
  }

  #start(): void {
    if (this.#writing || this.#ready.length === 0) return
    this.#writing = this.#write().then(() => {
      this.#writing = undefined
      this.#start()
    })
  }

  async #write(): Promise<void> {
    const breather = new Breather()
    for (let next = this.#ready.shift(); next; next = this.#ready.shift()) {
      if (this.#stalled.has(next.peer)) {
        this.#stall(next.peer, next.frames)
        continue
      }
      await this.#sendOne(next.peer, next.frames)
      const pause = breather.breathe(bytesOf(next.frames))
      if (pause) await pause
    }
  }

  async #sendOne(peer: string, frames: Uint8Array[]): Promise<void> {
    try {
      await this.#options.send(frames)
      this.bytesSent += bytesOf(frames)
    } catch (error) {
      if (errnoOf(error) === 'EAGAIN') this.#stall(peer, frames)
      else this.#gone(peer)
    }
  }

  #stall(peer: string, frames: Uint8Array[]): void {
    const stalled = this.#stalled.get(peer) ?? { queue: [], bytes: 0, waiting: [] }
    const { messages, bytes } = this.#options.perPeer
    if (stalled.queue.length >= messages || stalled.bytes >= bytes) return this.#gone(peer)
    stalled.queue.push(frames)
    stalled.bytes += bytesOf(frames)
    this.#stalled.set(peer, stalled)
    this.#cancelRetry ??= this.#options.clock.after(retryMs, () => {
      this.#cancelRetry = undefined
      this.#retry()
    })
  }

  #gone(peer: string): void {
    this.#unstall(peer)
    this.#options.onGone(peer)
  }

  #unstall(peer: string): Uint8Array[][] {
    const stalled = this.#stalled.get(peer)
    this.#stalled.delete(peer)
    for (const wake of stalled?.waiting ?? []) wake()
    return stalled?.queue ?? []
  }

  #retry(): void {
    for (const peer of [...this.#stalled.keys()]) {
      for (const frames of this.#unstall(peer)) this.#ready.push({ peer, frames })
    }
    this.#start()
  }
}

/** What waits for a peer that does not read. */
interface Stalled {
  queue: Uint8Array[][]
  bytes: number
  waiting: (() => void)[]
}
