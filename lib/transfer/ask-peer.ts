import type { Chance, Clock } from '../base/clock.ts'
import { isFailure, toFailure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Logger } from '../base/log.ts'
import { Pace } from '../network/pace.ts'
import type { Peer } from '../network/peer.ts'
import type { Peers } from '../network/peers.ts'
import type { Traffic } from '../network/traffic.ts'
import type { Uplink } from '../network/uplink.ts'
import type { Address } from '../stream/address.ts'
import type { Page } from '../stream/page.ts'
import type { Run } from '../stream/runs.ts'
import type { Candidate } from './fetch-plan.ts'
import type { KnownStream } from './known-stream.ts'

/** What fetching works with. */
export interface FetchParts {
  uplink: Uplink
  peers: Peers
  traffic: Traffic
  clock: Clock
  chance: Chance
  log: Logger
}

/** A run of a stream that is to be fetched. */
export interface Wanted {
  stream: KnownStream
  page: Page
  run: Run
}

/** How long a node that is asked may at least take to get the run itself, ms; at most it is `limits.fetchMs`. */
const leastWaitMs = 8000

/**
 * Asks one node for a run: verified bytes, or undefined when it has none to give. With `refer` it may name siblings instead. What the node did well
 * or badly is noted at its `Peer`. Throws what the call failed with.
 */
export async function askPeer(
  options: FetchParts,
  { stream, page, run }: Wanted,
  candidate: Candidate,
  { refer, signal }: { refer: boolean; signal: AbortSignal },
): Promise<Uint8Array | Address[] | undefined> {
  const { peers, uplink, traffic, clock, log } = options
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
    if (!signal.aborted) noteFailure(options, peer, error)
    throw error
  } finally {
    cancelSuspicion()
  }
}

function noteFailure({ uplink, log }: FetchParts, peer: Peer, error: unknown): void {
  uplink.noteFailure(peer.address, error)
  if (isFailure(error, 'timeout', 'unreachable')) peer.lost()
  if (isFailure(error, 'bad-format', 'over-limit')) {
    peer.bad()
    log.warn(toFailure(error).message)
  }
}
