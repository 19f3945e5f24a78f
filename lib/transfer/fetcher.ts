import { backoffMs } from '../base/backoff.ts'
import { pause } from '../base/clock.ts'
import type { Failure } from '../base/errors.ts'
import { noMaster } from '../network/uplink.ts'
import type { Address } from '../stream/address.ts'
import type { FetchParts, Wanted } from './ask-peer.ts'
import { type FetchedRun, FetchRound } from './fetch-round.ts'

/**
 * Gets one run of chunks over the network, verified. Rounds in which nobody had it are followed by others, with backoff, until the
 * caller gives up, because a master may come back or another take its place.
 */
export class Fetcher {
  readonly #options: FetchParts

  constructor(options: FetchParts) {
    this.#options = options
  }

  /**
   * `siblings`: whom the master named, best first; undefined when it did not say. Rejects with the signal's reason, or at once with a
   * failure that no retry can mend.
   */
  async fetch(wanted: Wanted, siblings: Address[] | undefined, signal: AbortSignal): Promise<FetchedRun> {
    const { clock, chance } = this.#options
    for (let round = 0; ; round++) {
      const fetched = await new FetchRound(this.#options, wanted, round === 0 ? siblings : []).run(signal)
      if (fetched) return fetched
      await pause(clock, 50 + backoffMs(round, { firstMs: 100, maxMs: 1000 }, chance), signal)
    }
  }

  /** The failure to tell whoever waited in vain. */
  unavailable(): Failure {
    return noMaster(this.#options.uplink.chain)
  }
}
