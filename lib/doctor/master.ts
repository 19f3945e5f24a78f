import * as v from 'valibot'
import type { Clock } from '../base/clock.ts'
import { isFailure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { parseReply, type StreamRow } from '../network/contract.ts'
import type { Peer } from '../network/peer.ts'
import type { Address } from '../stream/address.ts'
import { type ClocksSeen, judgeMasterClock } from './clock.ts'
import { type Finding, fail, ok, shorten, warn } from './finding.ts'

/** How long each question may take, ms. */
const answerMs = 2000
/** Keys named at most, and streams of each. */
const mostShown = 5

/** Of its answer to `stats`, what is shown. */
const statsSchema = v.object({
  name: v.pipe(v.string(), v.maxLength(128)),
  role: v.pipe(v.string(), v.maxLength(32)),
  wallTimeMs: v.optional(v.number()),
})

export type MasterSeen =
  | { state: 'silent' }
  /** It answers a ping, and not what a node of ours would answer. */
  | { state: 'strange'; why: string }
  | {
      state: 'node'
      name: string
      role: string
      roundTripMs: number
      clocks: ClocksSeen
      streams: Pick<StreamRow, 'name' | 'key'>[]
    }

export async function lookAtMaster(
  peer: Pick<Peer, 'address' | 'ping' | 'stats' | 'list'>,
  clock: Clock,
): Promise<MasterSeen> {
  if (!(await peer.ping(answerMs))) return { state: 'silent' }
  try {
    const askedAtMs = clock.wallTimeMs()
    const startedAt = clock.now()
    const stats = await peer.stats({ timeoutMs: answerMs })
    const roundTripMs = clock.now() - startedAt
    const { name, role, wallTimeMs } = parseReply(statsSchema, stats, peer.address)
    const streams = await peer.list({ timeoutMs: answerMs })
    return { state: 'node', name, role, roundTripMs, clocks: { masterMs: wallTimeMs, askedAtMs, roundTripMs }, streams }
  } catch (error) {
    if (isFailure(error)) return { state: 'strange', why: error.message }
    throw error
  }
}

export function judgeMaster(address: Address, seen: MasterSeen): Finding[] {
  switch (seen.state) {
    case 'silent':
      return [
        fail(
          'master',
          `${address} does not answer a ping within ${answerMs / 1000} s`,
          'start the node there with an --ip that is reached from here, and check the address and the firewalls between',
        ),
      ]
    case 'strange':
      return [
        fail(
          'master',
          `${address} answers a ping, but ${seen.why}`,
          'check that a node of this version runs there, and that it is not overloaded',
        ),
      ]
    case 'node':
      return [judgeRoundTrip(address, seen), judgeMasterClock(seen.clocks), ...judgeStreams(seen.streams)]
  }
}

function judgeRoundTrip(
  address: Address,
  { name, role, roundTripMs }: { name: string; role: string; roundTripMs: number },
): Finding {
  const found = `${address} is ${name} (${role}) and answers in ${roundTripMs.toFixed(1)} ms`
  if (roundTripMs < limits.pingMs) return ok('master', found)
  return warn(
    'master',
    `${found}, and a node that takes ${limits.pingMs} ms is taken for dead`,
    'find out what slows the link or the master, or choose a nearer --master',
  )
}

/** A line for each key, with what it has signed. */
function judgeStreams(streams: Pick<StreamRow, 'name' | 'key'>[]): Finding[] {
  if (streams.length === 0)
    return [
      warn('streams', 'the master knows no stream', 'publish one at the source (split_video), if there should be'),
    ]
  const namesByKey = new Map<string, string[]>()
  for (const { name, key } of streams) {
    const names = namesByKey.get(key)
    if (names) names.push(name)
    else namesByKey.set(key, [name])
  }
  const lines = [...namesByKey].slice(0, mostShown).map(([key, names]) => {
    return ok('streams', `the key ${key.slice(0, 80)} signs ${shorten(names, mostShown)}`)
  })
  const more = namesByKey.size - lines.length
  return more > 0 ? [...lines, ok('streams', `${more} more keys; peerstreamer list shows them`)] : lines
}
