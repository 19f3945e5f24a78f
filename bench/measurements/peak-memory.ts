import { type Bench, projectPath } from '../bench.ts'
import type { Figures } from '../figures.ts'
import { streams } from '../material.ts'
import { type NodeProcess, startRelay } from '../our-nodes.ts'
import { readCost } from '../process-cost.ts'

interface Summary {
  bytes: number
  peakMemoryBytes: number
}

const streamers = 8

/** Peak memory of a relay and eight `bin/video_streamer.js` on a long stream and on a short one, cold. */
export async function measurePeakMemory(bench: Bench, source: NodeProcess, figures: Figures): Promise<void> {
  const lengths = Array.from({ length: bench.settings.memory.repeats }, () => ['long', 'short'] as const).flat()
  for (const length of lengths) {
    const relay = await startRelay(bench, 'relay', source)
    const args = ['--source', relay.address, '-f', streams.memory(length), '-o', '/dev/null', '--json']
    const programs = Array.from({ length: streamers }, () =>
      bench.programs.start('video_streamer.js', process.execPath, [projectPath('bin/video_streamer.js'), ...args]),
    )
    const summaries = await Promise.all(programs.map((program) => program.json<Summary>()))
    const expected = bench.settings.memory[length] * 1e6
    for (const { bytes } of summaries)
      if (bytes !== expected) throw new Error(`expected ${expected} bytes of the ${length} stream, got ${bytes}`)
    figures.add(`peak MB relay ${length}`, readCost([relay.pid]).peakMemoryBytes / 1e6)
    figures.add(`peak MB streamer ${length}`, Math.max(...summaries.map((one) => one.peakMemoryBytes)) / 1e6)
    await relay.stop()
  }
}
