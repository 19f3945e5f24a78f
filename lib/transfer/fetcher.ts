import { backoffMs } from '../base/backoff.ts'
import { type Chance, type Clock, pause } from '../base/clock.ts'
import { Failure, isFailure, toFailure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Logger } from '../base/log.ts'
import { Pace } from '../network/pace.ts'
import type { Peer } from '../network/peer.ts'
import type { Peers } from '../network/peers.ts'
import type { Origin, Traffic } from '../network/traffic.ts'
import { trustOf } from '../network/trust.ts'
import { noMaster, type Uplink } from '../network/uplink.ts'
import type { Address } from '../stream/address.ts'
import type { Page } from '../stream/page.ts'
import type { Run } from '../stream/runs.ts'
import { type Attempt, type Candidate, mayHedge, planFetch } from './fetch-plan.ts'
import type { KnownStream } from './known-stream.ts'

export interface FetcherOptions {
  uplink: Uplink
  peers: Peers
  traffic: Traffic
  clock: Clock
  chance: Chance
  log: Logger
}

export interface FetchedRun {
  bytes: Uint8Array
  origin: Origin
  address: Address
  /** When the node that gave it was asked, by the monotonic clock, ms. */
  askedAt: number
}

/** How long a node that is asked may at least take to get the run itself, ms; at most it is `limits.fetchMs`. */
const leastWaitMs = 8000

/**
 * Gets one run of chunks over the network and verifies it. What to do next is decided by `planFetch`; this shell
 * asks, listens and counts. A round ends with verified bytes or with nobody left to ask; rounds go on, with backoff, until the
 * caller gives up, because a master may come back or another take its place.
 */
export class Fetcher {
  readonly #options: FetcherOptions

  constructor(options: FetcherOptions) {
    this.#options = options
  }

  /**
   * `siblings`: whom the master named, best first; undefined when it did not say. Rejects with the signal's reason, or at once with a
   * failure that no retry can mend.
   */
  async fetch(
    stream: KnownStream,
    page: Page,
    run: Run,
    siblings: Address[] | undefined,
    signal: AbortSignal,
  ): Promise<FetchedRun> {
    const { clock, chance } = this.#options
    for (let round = 0; ; round++) {
      const fetched = await this.#round(stream, page, run, round === 0 ? siblings : [], signal)
      if (fetched) return fetched
      await pause(clock, 50 + backoffMs(round, { firstMs: 100, maxMs: 1000 }, chance), signal)
    }
  }

  #round(
    stream: KnownStream,
    page: Page,
    run: Run,
    siblings: Address[] | undefined,
    signal: AbortSignal,
  ): Promise<FetchedRun | undefined> {
    const { clock, traffic, uplink } = this.#options
    const sizeBytes = page.bytesOf(run.first, run.count)
    let candidates = this.#candidates(siblings ?? [], sizeBytes)
    // A master that is too busy to say whom to ask is also too busy to send all its children the run.
    let mayRefer = siblings === undefined && uplink.shares
    const attempts: (Attempt & { abort: AbortController })[] = []
    return new Promise((resolve, reject) => {
      let cancelTimer = () => {}
      let over = false
      const end = (settle: () => void) => {
        if (over) return
        over = true
        cancelTimer()
        signal.removeEventListener('abort', onAbort)
        for (const attempt of attempts) {
          if (!attempt.underWay) continue
          attempt.abort.abort(new Failure('aborted', 'no longer needed'))
          this.#options.peers.at(attempt.address).pace.outlasted(clock.now() - attempt.startedAt, sizeBytes)
        }
        settle()
      }
      const onAbort = () => end(() => reject(signal.reason))
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })

      const step = () => {
        if (over) return
        cancelTimer()
        for (const attempt of attempts)
          attempt.isAvoided = this.#options.peers.at(attempt.address).avoidUntil > clock.now()
        const isAffordable = mayHedge(traffic.hedgedBytes, traffic.bytesReceived)
        const plan = planFetch(candidates, attempts, clock.now(), isAffordable)
        if (plan.do === 'fail') return end(() => resolve(undefined))
        if (plan.do === 'wait') {
          if (Number.isFinite(plan.ms)) cancelTimer = clock.after(plan.ms, step)
          return
        }
        if (plan.hedge) {
          traffic.hedges++
          if (isAffordable) traffic.hedgedBytes += sizeBytes
          for (const late of attempts) if (late.underWay) this.#noteLate(late.address)
        }
        const attempt = {
          address: plan.candidate.address,
          startedAt: clock.now(),
          underWay: true,
          isAvoided: false,
          abort: new AbortController(),
        }
        attempts.push(attempt)
        const refer = mayRefer && plan.candidate.address === uplink.current
        mayRefer &&= !refer
        this.#ask(stream, page, run, plan.candidate, refer, attempt.abort.signal).then(
          (answer) => {
            attempt.underWay = false
            if (over) return
            if (!answer) return step()
            if (Array.isArray(answer)) {
              candidates = this.#candidates(answer, sizeBytes)
              // It is asked for the run itself when those that it named fail.
              attempts.splice(attempts.indexOf(attempt), 1)
              return step()
            }
            const bytes = answer
            const { address, origin } = plan.candidate
            traffic.received(origin, address, bytes.length, run.count)
            end(() => resolve({ bytes, origin, address, askedAt: attempt.startedAt }))
          },
          (error) => {
            attempt.underWay = false
            if (isFailure(error, 'stream-changed', 'not-found') && plan.candidate.origin !== 'sibling')
              end(() => reject(error))
            else step()
          },
        )
        step()
      }
      step()
    })
  }

  /** Verified bytes of the run, or undefined when the peer has none to give. With `refer` it may name siblings instead. */
  async #ask(
    stream: KnownStream,
    page: Page,
    run: Run,
    candidate: Candidate,
    refer: boolean,
    signal: AbortSignal,
  ): Promise<Uint8Array | Address[] | undefined> {
    const { clock, peers, uplink, traffic, log } = this.#options
    const peer = peers.at(candidate.address)
    const { name, epoch } = stream.descriptor
    const startedAt = clock.now()
    const patienceMs = Math.round(Math.min(limits.fetchMs, Math.max(leastWaitMs, 3 * candidate.expectedMs)))
    const asked = {
      count: run.count,
      epoch,
      waitMs: patienceMs,
      local: candidate.origin === 'sibling',
      lease: candidate.address === uplink.current && uplink.shares ? uplink.lease : undefined,
      ...(refer && { refer }),
    }
    // A master that is late is looked at, whether or not another is asked in its place.
    let cancelSuspicion = () => {}
    const suspectLater = () => {
      cancelSuspicion = clock.after(Math.min(candidate.lateAfterMs, Pace.unknownMs), () => {
        void uplink.suspect(candidate.address)
        suspectLater()
      })
    }
    suspectLater()
    try {
      const reply = await peer.get(name, run.first, asked, { signal, timeoutMs: patienceMs + 2000 })
      if (refer && reply.status === 'refer') return reply.peers
      if (reply.status !== 'data') return undefined
      if (reply.index === run.first && page.firstWrong(run.first, run.count, reply.data) === -1) {
        peer.answered(clock.now() - startedAt, reply.data.length)
        return reply.data
      }
      traffic.badChunks++
      peer.bad()
      log.warn(`${peer.address} sent wrong bytes for chunks ${run.first} to ${run.first + run.count - 1} of ${name}`)
      return undefined
    } catch (error) {
      if (!signal.aborted) this.#noteFailure(peer, error)
      throw error
    } finally {
      cancelSuspicion()
    }
  }

  #noteLate(address: Address): void {
    this.#options.peers.at(address).late()
  }

  #noteFailure(peer: Peer, error: unknown): void {
    const { uplink, log } = this.#options
    uplink.noteFailure(peer.address, error)
    if (isFailure(error, 'timeout', 'unreachable')) peer.lost()
    if (isFailure(error, 'bad-format', 'over-limit')) {
      peer.bad()
      log.warn(toFailure(error).message)
    }
  }

  #candidates(siblings: Address[], sizeBytes: number): Candidate[] {
    const { uplink, peers, clock } = this.#options
    const [master] = uplink.chain
    const upward = uplink.upward()
    const now = clock.now()
    // The master named them a while ago; since then one may have been found dead.
    const usable = siblings.filter((address) => peers.at(address).lostUntil <= now)
    const origins: [Address, Origin][] = [
      ...usable.map((address): [Address, Origin] => [address, 'sibling']),
      ...upward.map((address): [Address, Origin] => [address, address === master ? 'master' : 'supermaster']),
    ]
    return origins.map(([address, origin]) => {
      const { pace, badAt } = peers.at(address)
      const [lateAfterMs, expectedMs] = [pace.lateAfterMs(sizeBytes), pace.expectedMs(sizeBytes)]
      return { address, origin, trust: trustOf(badAt, now), lateAfterMs, expectedMs }
    })
  }

  /** The failure to tell whoever waited in vain. */
  unavailable(): Failure {
    return noMaster(this.#options.uplink.chain)
  }
}
