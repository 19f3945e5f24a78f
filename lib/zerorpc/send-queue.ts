import type { Clock } from '../base/clock.ts'
import { errnoOf } from '../base/errors.ts'
import { Breather, bytesOf } from './breather.ts'

export interface SendQueueOptions {
  clock: Clock
  /** Hands frames to the socket; rejects with EAGAIN when the peer does not read, with EHOSTUNREACH when it is gone. */
  send(frames: Uint8Array[]): Promise<void>
  /** Messages kept for one peer that does not read; above it the oldest call's answer is dropped. */
  perPeer: number
  /** The peer is gone. */
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
  readonly #stalled = new Map<string, Uint8Array[][]>()
  #writing: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  #closed = false
  bytesSent = 0
  /** Messages dropped because their peer did not read. */
  dropped = 0

  constructor(options: SendQueueOptions) {
    this.#options = options
  }

  push(peer: string, frames: Uint8Array[]): void {
    if (this.#closed) return
    const stalled = this.#stalled.get(peer)
    if (stalled) return this.#stall(peer, frames, stalled)
    this.#ready.push({ peer, frames })
    this.#writing ??= this.#write()
  }

  /** Sends what can be sent at once and ends. */
  async close(): Promise<void> {
    this.#cancelRetry?.()
    await this.#writing
    this.#closed = true
    this.#stalled.clear()
  }

  async #write(): Promise<void> {
    const breather = new Breather()
    try {
      for (let next = this.#ready.shift(); next; next = this.#ready.shift()) {
        const stalled = this.#stalled.get(next.peer)
        if (stalled) {
          this.#stall(next.peer, next.frames, stalled)
          continue
        }
        await this.#sendOne(next.peer, next.frames)
        const pause = breather.breathe(bytesOf(next.frames))
        if (pause) await pause
      }
    } finally {
      this.#writing = undefined
    }
  }

  async #sendOne(peer: string, frames: Uint8Array[]): Promise<boolean> {
    try {
      await this.#options.send(frames)
      this.bytesSent += bytesOf(frames)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EAGAIN') this.#stall(peer, frames, this.#stalled.get(peer) ?? [])
      else {
        this.#stalled.delete(peer)
        this.#options.onGone(peer)
      }
      return false
    }
  }

  #stall(peer: string, frames: Uint8Array[], queue: Uint8Array[][]): void {
    if (queue.length >= this.#options.perPeer) {
      this.dropped++
      return
    }
    queue.push(frames)
    this.#stalled.set(peer, queue)
    this.#cancelRetry ??= this.#options.clock.after(retryMs, () => {
      this.#cancelRetry = undefined
      this.#retry()
    })
  }

  #retry(): void {
    for (const [peer, queue] of [...this.#stalled]) {
      this.#stalled.delete(peer)
      for (const frames of queue) this.#ready.push({ peer, frames })
    }
    this.#writing ??= this.#write()
  }
}
