/**
 * How long one peer takes for a run: smoothed time and deviation as TCP estimates its round trip (RFC 6298),
 * and the rate of verified bytes.
 */
export class Pace {
  #smoothedMs: number | undefined
  #deviationMs = 0
  #rate = 0

  /** Before anything was measured a peer gets this long, ms. */
  static readonly unknownMs = 2500
  /** Never call a peer late before this, ms: timers and garbage collection alone may take as long. */
  static readonly leastMs = 800

  record(tookMs: number, sizeBytes: number): void {
    const rate = sizeBytes / Math.max(0.1, tookMs)
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = tookMs
      this.#deviationMs = tookMs / 2
      this.#rate = rate
      return
    }
    this.#deviationMs += (Math.abs(tookMs - this.#smoothedMs) - this.#deviationMs) / 4
    this.#smoothedMs += (tookMs - this.#smoothedMs) / 8
    this.#rate += (rate - this.#rate) / 8
  }

  /** Past this many ms an answer is late and a second peer is worth asking. */
  get lateAfterMs(): number {
    if (this.#smoothedMs === undefined) return Pace.unknownMs
    return Math.max(Pace.leastMs, this.#smoothedMs + 4 * this.#deviationMs)
  }

  /** Bytes a millisecond over one request; 0 while unknown. */
  get rate(): number {
    return this.#rate
  }

  get smoothedMs(): number | undefined {
    return this.#smoothedMs
  }
}
