import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench } from '../bench.ts'
import type { Contender } from '../contender.ts'
import { streams } from '../material.ts'
import { type NodeProcess, startRelay } from '../our-nodes.ts'
import { measure, type Sample } from '../sample.ts'
import { mib } from '../settings.ts'
import { startStreamers, stopStreamers } from '../streamer-client.ts'

export const oursName = 'peerstreamer'
export const unverifiedName = 'peerstreamer, unverified'
/** How lib is told to leave digests unchecked (lib/base/protections.ts). */
const unverified = { PEERSTREAMER_TEST_OFF: 'digests' }

/** Our source, and what it serves. */
export interface VideoSource {
  node: NodeProcess
  videoDatabase: string
}

/** Source, relay and streamers: everything verified, the relay stores it. */
export function ours(bench: Bench, source: VideoSource): Contender {
  return {
    name: oursName,
    missing: () => undefined,
    start: async () => {},
    round: async () => [
      ...(await coldAndWarm(bench, source, oursName, 1, bench.settings.alone)),
      ...(await coldAndWarm(bench, source, oursName, 8, bench.settings.together)),
    ],
  }
}

/** The same with verification switched off in relay and streamer, to see what it costs. */
export function oursUnverified(bench: Bench, source: VideoSource): Contender {
  return {
    name: unverifiedName,
    missing: () => undefined,
    start: async () => {},
    round: () => coldAndWarm(bench, source, unverifiedName, 1, bench.settings.alone, unverified),
  }
}

/** One relay, empty at first; then new streamers take the same from it again. */
async function coldAndWarm(
  bench: Bench,
  { node, videoDatabase }: VideoSource,
  contender: string,
  count: number,
  chunks: number,
  env?: Record<string, string>,
): Promise<Sample[]> {
  const name = streams.mib(chunks)
  const relay = await startRelay(bench, 'relay', node, { env })
  const servers = [
    { role: 'source', pids: [node.pid], serves: join(videoDatabase, name) },
    { role: 'relay', pids: [relay.pid] },
  ]
  const samples: Sample[] = []
  for (const temperature of ['cold', 'warm'] as const) {
    const streamers = await startStreamers(bench, count, env)
    const job = { source: relay.address, name }
    const clients = streamers.map((streamer) => streamer.client(job))
    const stored = () => untilStored(relay, chunks)
    const sample = await measure(bench, { contender, temperature }, servers, clients, chunks * mib, stored)
    samples.push({ ...sample, storedShare: (await storedChunks(relay)) / chunks })
    await stopStreamers(streamers)
  }
  await relay.stop()
  return samples
}

/** A relay that has not stored all in this time will not, ms. */
const storeLimitMs = 5000

/** What a relay writes after the streamers have it counts, too. */
async function untilStored(relay: NodeProcess, chunks: number): Promise<void> {
  const until = performance.now() + storeLimitMs
  do await pause(300)
  while ((await storedChunks(relay)) < chunks && performance.now() < until)
}

async function storedChunks(relay: NodeProcess): Promise<number> {
  return (await relay.stats()).store?.chunks ?? 0
}
