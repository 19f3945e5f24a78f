import { type Bench, newFolder } from '../bench.ts'
import type { Figures } from '../figures.ts'
import { manyChunks, streams } from '../material.ts'
import { type NodeProcess, startRelay } from '../our-nodes.ts'
import { readCost } from '../process-cost.ts'
import { StreamerProcess } from '../streamer-client.ts'

/** How long a relay takes from its start until it listens, and its memory then, with an empty store and with 200,000 chunks. */
export async function measureStoreStart(bench: Bench, source: NodeProcess, figures: Figures): Promise<void> {
  const chunks = await newFolder(bench, 'store')
  const filled = await startRelay(bench, 'filled', source, { chunks })
  const streamer = await StreamerProcess.start(bench)
  await streamer.run({ source: filled.address, name: streams.many })
  await streamer.program.stop()
  await filled.stop({ keepChunks: true })
  for (let repeat = 0; repeat < bench.settings.repeats; repeat++) {
    for (const kind of ['empty', 'full'] as const) {
      const relay = await startRelay(bench, kind, source, kind === 'full' ? { chunks } : {})
      const stored = (await relay.stats()).store?.chunks ?? 0
      if (kind === 'full' && stored !== manyChunks)
        throw new Error(`expected ${manyChunks} chunks in the store, got ${stored}`)
      figures.add(`start s ${kind} store`, relay.startSeconds)
      figures.add(`start peak MB ${kind} store`, readCost([relay.pid]).peakMemoryBytes / 1e6)
      await relay.stop({ keepChunks: kind === 'full' })
    }
  }
}
