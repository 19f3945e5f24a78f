import type { Clock } from '../base/clock.ts'
import { defaultHeartbeatMs, type RpcOptions } from './options.ts'

/** What a heartbeat needs to know of a channel. */
export interface Beating {
  /** When anything last came on the channel, ms; whoever receives sets it. */
  heardAt: number
  /** When a heartbeat was last sent, or the channel opened, ms. */
  beatAt: number
  /** Sends one heartbeat. */
  beat(): void
  /** Nothing came for too long. */
  lost(): void
}

/** Keeps all channels of one socket alive with a single timer; knows no socket. */
export class Heartbeat {
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #lostAfterMs: number
  readonly #channels = new Set<Beating>()
  #cancel: (() => void) | undefined
  #sweptAt = 0

  constructor(clock: Clock, { heartbeatMs = defaultHeartbeatMs, lostAfterMs = 2 * heartbeatMs }: RpcOptions) {
    this.#clock = clock
    this.#intervalMs = heartbeatMs
    this.#lostAfterMs = lostAfterMs
  }

  add(channel: Beating): void {
    this.#channels.add(channel)
    if (!this.#cancel) {
      this.#sweptAt = this.#clock.now()
      this.#schedule()
    }
  }

  remove(channel: Beating): void {
    this.#channels.delete(channel)
  }

  close(): void {
    this.#cancel?.()
    this.#channels.clear()
  }

  #schedule(): void {
    this.#cancel = this.#clock.after(this.#intervalMs / 2, () => this.#sweep())
  }

  #sweep(): void {
    const now = this.#clock.now()
    // When this process itself stood still, silence says nothing about the others.
    const stoodStillMs = Math.max(0, now - this.#sweptAt - this.#intervalMs)
    this.#sweptAt = now
    for (const channel of [...this.#channels]) {
      if (stoodStillMs > 0) channel.heardAt = Math.min(now, channel.heardAt + stoodStillMs)
      if (now - channel.heardAt >= this.#lostAfterMs) {
        this.#channels.delete(channel)
        channel.lost()
      } else if (now - channel.beatAt >= this.#intervalMs) {
        channel.beatAt = now
        channel.beat()
      }
    }
    this.#cancel = undefined
    if (this.#channels.size > 0) this.#schedule()
  }
}
