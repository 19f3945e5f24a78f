import { limits } from '../base/limits.ts'

/** What is on its way from one peer should be here within this time: more only waits in queues, ms. */
const inFlightMs = 500
/** Longest wait for a ping, ms. */
const mostPingMs = 2000

/** How long one peer takes for a run: smoothed time and deviation as TCP estimates its round trip (RFC 6298); and at what rate runs come. */
export class Pace {
  #smoothedMs: number | undefined
  #deviationMs = 0
  #bytesPerMs = 0
  #leastMsPerByte = 0
  #lastAt = Number.NEGATIVE_INFINITY

  /** Before anything was measured a peer gets this long, ms. */
  static readonly unknownMs = 2500
  /** Never call a peer late before this, ms: timers and garbage collection alone may take as long. */
  static readonly leastMs = 800

  /** A run came, `now` by the monotonic clock, `tookMs` after it was asked for. */
  record(tookMs: number, bytes: number, now: number): void {
    // Runs that were asked for together come one after another.
    const rate = bytes / Math.max(0.01, Math.min(tookMs, now - this.#lastAt))
    this.#lastAt = now
    if (this.#smoothedMs === undefined) {
      this.#bytesPerMs = rate
      this.#smoothedMs = tookMs
      this.#deviationMs = tookMs / 2
      return
    }
    this.#bytesPerMs = follow(this.#bytesPerMs, rate)
    this.#deviationMs += (Math.abs(tookMs - this.#smoothedMs) - this.#deviationMs) / 4
    this.#smoothedMs += (tookMs - this.#smoothedMs) / 8
  }

  /** So many bytes were not there after `ms`, when another was faster. Before a run came, it is all that is known. */
  outlasted(ms: number, bytes: number): void {
    this.#leastMsPerByte = Math.max(this.#leastMsPerByte, ms / bytes)
  }

  /** How long so many bytes should take at the rate that runs come at, ms; 0 when nothing is known. */
  expectedMs(bytes: number): number {
    return bytes * (this.#bytesPerMs === 0 ? this.#leastMsPerByte : 1 / this.#bytesPerMs)
  }

  /** Past this many ms an answer of so many bytes is late and a second peer is worth asking. */
  lateAfterMs(bytes: number): number {
    if (this.#smoothedMs === undefined) return Pace.unknownMs
    return Math.max(Pace.leastMs, this.#smoothedMs + 4 * this.#deviationMs, 2 * this.expectedMs(bytes))
  }

  /** A node that does not answer a ping for this long is taken for dead, ms: one whose runs take a second, as the machine is overloaded, takes as long for a ping. */
  get pingMs(): number {
    return Math.max(limits.pingMs, Math.min(mostPingMs, this.#smoothedMs ?? 0))
  }

  /** Past this many ms without a run, or anything else, the connection that it should come on is dead. */
  get silentMs(): number {
    return this.#bytesPerMs === 0 ? 10_000 : Math.max(2000, (3 * limits.runBytes) / this.#bytesPerMs)
  }

  /** Bytes that may be asked for and not yet received: what comes in half a second, `limits.windowBytes` at most. One run may always be. */
  get inFlightBytes(): number {
    return Math.min(limits.windowBytes, Math.max(limits.firstRunBytes, this.#bytesPerMs * inFlightMs))
  }
}

/** A quarter of the way to what was measured last: of the rate when it grew, of the time a byte when it fell, so that it is near within a few runs either way. */
function follow(rate: number, last: number): number {
  return last > rate ? rate + (last - rate) / 4 : 1 / (0.75 / rate + 0.25 / last)
}
