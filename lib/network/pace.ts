/** How long one peer takes for a run: smoothed time and deviation as TCP estimates its round trip (RFC 6298). */
export class Pace {
  #smoothedMs: number | undefined
  #deviationMs = 0

  /** Before anything was measured a peer gets this long, ms. */
  static readonly unknownMs = 2500
  /** Never call a peer late before this, ms: timers and garbage collection alone may take as long. */
  static readonly leastMs = 800

  record(tookMs: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = tookMs
      this.#deviationMs = tookMs / 2
      return
    }
    this.#deviationMs += (Math.abs(tookMs - this.#smoothedMs) - this.#deviationMs) / 4
    this.#smoothedMs += (tookMs - this.#smoothedMs) / 8
  }

  /** Past this many ms an answer is late and a second peer is worth asking. */
  get lateAfterMs(): number {
    if (this.#smoothedMs === undefined) return Pace.unknownMs
    return Math.max(Pace.leastMs, this.#smoothedMs + 4 * this.#deviationMs)
  }
}
