import { isOff } from '../base/protections.ts'
import type { Origin } from '../network/traffic.ts'
import type { Trust } from '../network/trust.ts'
import type { Address } from '../stream/address.ts'

/** A node that may have the run. */
export interface Candidate {
  address: Address
  origin: Origin
  trust: Trust
  /** Past this many ms its answer is late. */
  lateAfterMs: number
  /** How long the run should take from it, ms; 0 when nothing is known. */
  expectedMs: number
}

export interface Attempt {
  address: Address
  startedAt: number
  /** False once it answered without data or failed. */
  underWay: boolean
  /** Whether the node was late with another run, and is avoided since. */
  isAvoided: boolean
}

export type FetchStep =
  | { do: 'ask'; candidate: Candidate; hedge: boolean }
  /** Until an attempt ends, or until `ms` have passed. */
  | { do: 'wait'; ms: number }
  | { do: 'fail' }

/**
 * Past this another node is asked whatever was spent on hedges: a stall is to be 5 s at most (FAULTS.md), ms. Where the line itself is so slow
 * that a run takes as long, asking another would only send it twice.
 */
const overdueMs = 3500
/** How many nodes are asked for one run at a time. */
const attemptsAtOnce = 2

/**
 * What to do next to get one run. Candidates stand in the order of DESIGN section 4: siblings, master, supermasters.
 * The next one is asked when nobody is being asked, or when the one being asked is late and a hedge may be spent.
 */
export function planFetch(
  candidates: readonly Candidate[],
  attempts: readonly Attempt[],
  now: number,
  mayHedge: boolean,
): FetchStep {
  const next = order(candidates).find((candidate) => !attempts.some((attempt) => attempt.address === candidate.address))
  const underWay = attempts.filter((attempt) => attempt.underWay)
  const newest = underWay.at(-1)
  if (!newest) return next ? { do: 'ask', candidate: next, hedge: false } : { do: 'fail' }
  if (!next || underWay.length >= attemptsAtOnce) return { do: 'wait', ms: Number.POSITIVE_INFINITY }
  // A master that is late mostly waits for the one above itself: asking that one too would only send the bytes twice.
  // One that holds up all that it was asked for is not waited for each time: the first hedge told enough.
  const isWorthIt = (mayHedge || newest.isAvoided) && next.origin !== 'supermaster'
  const asked = candidates.find((candidate) => candidate.address === newest.address)
  const lateMs = isWorthIt ? (asked?.lateAfterMs ?? 0) : Number.POSITIVE_INFINITY
  const lateAt = newest.startedAt + Math.min(lateMs, overdueAfter(next, asked))
  return now >= lateAt ? { do: 'ask', candidate: next, hedge: true } : { do: 'wait', ms: lateAt - now }
}

/** Trusted ones first, each group in the given order; banned ones not at all. */
function order(candidates: readonly Candidate[]): Candidate[] {
  return [
    ...candidates.filter((candidate) => candidate.trust === 'trusted'),
    ...candidates.filter((candidate) => candidate.trust === 'avoided'),
  ]
}

/** Only what is above tells of the line: a sibling may be slow on purpose. */
function overdueAfter(next: Candidate, asked: Candidate | undefined): number {
  const above = [next, asked].map((one) => (one && one.origin !== 'sibling' ? one.expectedMs : 0))
  return Math.max(overdueMs, 2 * Math.max(...above))
}

/** Bytes that hedges may add, as a share of what was received, and what may always be spent. */
export const hedgeShare = 0.05
export const hedgeFreeBytes = 1024 * 1024

export function mayHedge(hedgedBytes: number, receivedBytes: number): boolean {
  return !isOff('hedges') && hedgedBytes < hedgeFreeBytes + hedgeShare * receivedBytes
}
