import { Failure, isFailure } from '../base/errors.ts'
import type { Origin } from '../network/traffic.ts'
import { trustOf } from '../network/trust.ts'
import type { Address } from '../stream/address.ts'
import { askPeer, type FetchParts, type Wanted } from './ask-peer.ts'
import { type Attempt, type Candidate, mayHedge, planFetch } from './fetch-plan.ts'

export interface FetchedRun {
  bytes: Uint8Array
  origin: Origin
  address: Address
  /** When the node that gave it was asked, by the monotonic clock, ms. */
  askedAt: number
}

type Outcome = { fetched: FetchedRun | undefined } | { failure: unknown }

/** Asks whoever may have a run until one gives it. What to do next is decided by `planFetch`; this shell asks, listens and counts. */
export class FetchRound {
  readonly #options: FetchParts
  readonly #wanted: Wanted
  readonly #sizeBytes: number
  readonly #attempts: (Attempt & { abort: AbortController })[] = []
  #candidates: Candidate[]
  /** Whether the master may be asked once to name siblings. */
  #mayRefer: boolean
  #cancelTimer = () => {}
  #isOver = false
  #settle: (outcome: Outcome) => void = () => {}

  /** `siblings`: whom the master named, best first; undefined when it did not say. */
  constructor(options: FetchParts, wanted: Wanted, siblings: Address[] | undefined) {
    const { page, run } = wanted
    this.#options = options
    this.#wanted = wanted
    this.#sizeBytes = page.bytesOf(run.first, run.count)
    this.#candidates = this.#candidatesWith(siblings ?? [])
    // A master that is too busy to say whom to ask is also too busy to send all its children the run.
    this.#mayRefer = siblings === undefined && options.uplink.shares
  }

  /** Resolves with undefined when nobody is left to ask. Rejects with the signal's reason, or with a failure that no retry can mend. Called once. */
  run(signal: AbortSignal): Promise<FetchedRun | undefined> {
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#end({ failure: signal.reason })
      this.#settle = (outcome) => {
        signal.removeEventListener('abort', onAbort)
        if ('failure' in outcome) reject(outcome.failure)
        else resolve(outcome.fetched)
      }
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      this.#step()
    })
  }

  #step(): void {
    if (this.#isOver) return
    this.#cancelTimer()
    const { clock, traffic, peers } = this.#options
    for (const attempt of this.#attempts) attempt.isAvoided = peers.at(attempt.address).avoidUntil > clock.now()
    const isAffordable = mayHedge(traffic.hedgedBytes, traffic.bytesReceived)
    const plan = planFetch(this.#candidates, this.#attempts, clock.now(), isAffordable)
    if (plan.do === 'fail') return this.#end({ fetched: undefined })
    if (plan.do === 'wait') {
      if (Number.isFinite(plan.ms)) this.#cancelTimer = clock.after(plan.ms, () => this.#step())
      return
    }
    if (plan.hedge) {
      traffic.hedges++
      if (isAffordable) traffic.hedgedBytes += this.#sizeBytes
      for (const late of this.#attempts) if (late.underWay) peers.at(late.address).late()
    }
    this.#ask(plan.candidate)
    this.#step()
  }

  #ask(candidate: Candidate): void {
    const { clock, uplink } = this.#options
    const abort = new AbortController()
    const attempt = { address: candidate.address, startedAt: clock.now(), underWay: true, isAvoided: false, abort }
    this.#attempts.push(attempt)
    const refer = this.#mayRefer && candidate.address === uplink.current
    if (refer) this.#mayRefer = false
    askPeer(this.#options, this.#wanted, candidate, { refer, signal: abort.signal }).then(
      (answer) => {
        attempt.underWay = false
        if (answer && !Array.isArray(answer)) return this.#take(answer, candidate, attempt.startedAt)
        if (answer) {
          this.#candidates = this.#candidatesWith(answer)
          // It is asked for the run itself when those that it named fail.
          this.#attempts.splice(this.#attempts.indexOf(attempt), 1)
        }
        this.#step()
      },
      (error) => {
        attempt.underWay = false
        const isFinal = isFailure(error, 'stream-changed', 'not-found') && candidate.origin !== 'sibling'
        if (isFinal) this.#end({ failure: error })
        else this.#step()
      },
    )
  }

  #take(bytes: Uint8Array, { address, origin }: Candidate, askedAt: number): void {
    if (this.#isOver) return
    this.#options.traffic.received(origin, address, bytes.length, this.#wanted.run.count)
    this.#end({ fetched: { bytes, origin, address, askedAt } })
  }

  #end(outcome: Outcome): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancelTimer()
    const { clock, peers } = this.#options
    for (const { underWay, abort, address, startedAt } of this.#attempts) {
      if (!underWay) continue
      abort.abort(new Failure('aborted', 'no longer needed'))
      peers.at(address).pace.outlasted(clock.now() - startedAt, this.#sizeBytes)
    }
    this.#settle(outcome)
  }

  /** Siblings, master, supermasters. */
  #candidatesWith(siblings: Address[]): Candidate[] {
    const { uplink, peers, clock } = this.#options
    const [master] = uplink.chain
    const now = clock.now()
    // The master named them a while ago; since then one may have been found dead.
    const usable = siblings.filter((address) => peers.at(address).lostUntil <= now)
    const origins: [Address, Origin][] = [
      ...usable.map((address): [Address, Origin] => [address, 'sibling']),
      ...uplink.upward().map((address): [Address, Origin] => [address, address === master ? 'master' : 'supermaster']),
    ]
    return origins.map(([address, origin]) => {
      const { pace, badAt } = peers.at(address)
      const [lateAfterMs, expectedMs] = [pace.lateAfterMs(this.#sizeBytes), pace.expectedMs(this.#sizeBytes)]
      return { address, origin, trust: trustOf(badAt, now), lateAfterMs, expectedMs }
    })
  }
}
