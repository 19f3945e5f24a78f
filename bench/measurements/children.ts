import { join } from 'node:path'
import type { Bench } from '../bench.ts'
import type { Figures } from '../figures.ts'
import { streams } from '../material.ts'
import { type NodeProcess, startRelay, startSource } from '../our-nodes.ts'
import { measure, totalCpu } from '../sample.ts'
import { mib } from '../settings.ts'
import { startStreamers, stopStreamers } from '../streamer-client.ts'

/** Relays that begin at once cost more CPU than there is: they are started so many at a time. */
const startedTogether = 8

/** Cold relays under one master, a streamer at each, all at once: what the source sent, and the CPU of all. */
export async function measureChildren(bench: Bench, videoDatabase: string, figures: Figures): Promise<void> {
  const { few, many, mib: chunks, repeats } = bench.settings.children
  for (let repeat = 0; repeat < repeats; repeat++) {
    figures.add('source copies 8 relays', (await stream(bench, videoDatabase, 8, chunks)).copies)
    for (const count of [few, many]) {
      const { copies, cpuSecPerGB } = await stream(bench, videoDatabase, count, chunks)
      const name = count === few ? 'few' : 'many'
      figures.add(`CPU s/GB ${name} children`, cpuSecPerGB)
      figures.add(`source copies ${name} children`, copies)
    }
  }
}

async function stream(bench: Bench, videoDatabase: string, count: number, chunks: number) {
  const source = await startSource(bench, videoDatabase)
  const relays: NodeProcess[] = []
  while (relays.length < count) {
    const names = Array.from({ length: Math.min(startedTogether, count - relays.length) }, (_, i) => relays.length + i)
    relays.push(...(await Promise.all(names.map((name) => startRelay(bench, `relay-${name}`, source)))))
  }
  const streamers = await startStreamers(bench, count)
  const clients = streamers.map((streamer, at) =>
    streamer.client({ source: relays[at]?.address ?? '', name: streams.mib(chunks) }),
  )
  const servers = [
    { role: 'source', pids: [source.pid], serves: join(videoDatabase, streams.mib(chunks)) },
    ...relays.map(({ pid }) => ({ role: 'relay', pids: [pid] })),
  ]
  const sample = await measure(
    bench,
    { contender: `${count} relays`, temperature: 'cold' },
    servers,
    clients,
    chunks * mib,
  )
  const { bytesSent } = await source.stats()
  await stopStreamers(streamers)
  await Promise.all(relays.map((relay) => relay.stop()))
  await source.stop()
  return { copies: bytesSent / (chunks * mib), cpuSecPerGB: totalCpu(sample) }
}
