import type { Bench } from '../bench.ts'
import type { Figures } from '../figures.ts'
import { streams } from '../material.ts'
import { type NodeProcess, startRelay } from '../our-nodes.ts'
import { readCost } from '../process-cost.ts'
import { StreamerProcess, type StreamResult } from '../streamer-client.ts'
import { controlShare } from './control-bytes.ts'

/** Where along the stream it is looked at, and how many chunks from there. */
const [early, late, stretch] = [1000, 100_000, 10_000]

/** Chunks of 5 kB: how many a second, how many control bytes, and whether the end of a long stream costs more than its beginning. */
export async function measureSmallChunks(bench: Bench, source: NodeProcess, figures: Figures): Promise<void> {
  const relay = await startRelay(bench, 'relay', source)
  const whole = { source: relay.address, name: streams.small }
  await stream(bench, whole)
  figures.add('control bytes share 5 kB', controlShare(await relay.stats()))
  const relayPeak = readCost([relay.pid]).peakMemoryBytes
  for (let repeat = 0; repeat < bench.settings.repeats; repeat++) {
    const { result } = await stream(bench, whole)
    figures.add('5 kB chunks a second', result.chunks / ((result.endedAt - result.startedAt) / 1000))
    // Turn about, so that neither is always the first.
    const order = repeat % 2 === 0 ? [early, late] : [late, early]
    for (const from of order) {
      const part = await stream(bench, { ...whole, from, count: stretch })
      const name = from === early ? 'early' : 'late'
      figures.add(`ms a chunk ${name}`, msPerChunk(part.result))
      figures.add(`streamer peak MB ${name}`, part.peakMemoryBytes / 1e6)
    }
  }
  figures.add('relay peak MB grown by streaming again', (readCost([relay.pid]).peakMemoryBytes - relayPeak) / 1e6)
  await relay.stop()
}

/** Without connecting and the first write, which would hide a difference. */
function msPerChunk({ startedAt, endedAt, firstChunkMs, chunks, firstChunks }: StreamResult): number {
  return (endedAt - startedAt - firstChunkMs) / (chunks - firstChunks)
}

/** A streamer of its own, so that each begins alike. */
async function stream(bench: Bench, job: Parameters<StreamerProcess['run']>[0]) {
  const streamer = await StreamerProcess.start(bench)
  const result = await streamer.run(job)
  const { peakMemoryBytes } = readCost([streamer.program.pid])
  await streamer.program.stop()
  return { result, peakMemoryBytes }
}
