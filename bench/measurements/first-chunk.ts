import type { Bench } from '../bench.ts'
import type { Figures } from '../figures.ts'
import { streams } from '../material.ts'
import { type NodeProcess, startRelay } from '../our-nodes.ts'
import { StreamerProcess } from '../streamer-client.ts'

/** From the word to begin until the first chunk is written, through one relay and through two that do not know the stream. */
export async function measureFirstChunk(bench: Bench, source: NodeProcess, figures: Figures): Promise<void> {
  const only = await startRelay(bench, 'only', source)
  const upper = await startRelay(bench, 'upper', source)
  const lower = await startRelay(bench, 'lower', upper)
  // One process for all, whose code is warm after the first: else its own compiling would hide the hops.
  const streamer = await StreamerProcess.start(bench)
  const time = async (relay: NodeProcess, stream: number) =>
    (await streamer.run({ source: relay.address, name: streams.first(stream), count: 1 })).firstChunkMs
  await time(source, 0)
  for (let index = 0; index < bench.settings.firstChunks; index++) {
    // Each stream is new to the relays that it is asked of.
    const [one, two] = [await time(only, 2 * index), await time(lower, 2 * index + 1)]
    if (index === 0) continue
    figures.add('first chunk ms one hop', one)
    figures.add('first chunk ms two hops', two)
  }
  await streamer.program.stop()
  for (const relay of [lower, upper, only]) await relay.stop()
}
