import type { NodeStats } from '../../lib/network/contract.ts'
import type { Bench } from '../bench.ts'
import type { Figures } from '../figures.ts'
import { streams } from '../material.ts'
import { type NodeProcess, startRelay } from '../our-nodes.ts'
import { StreamerProcess } from '../streamer-client.ts'

/** All that is not chunks over the chunks, of what a node sent and received. */
export function controlShare({ controlBytes, bytesSent, bytesReceived }: NodeStats): number {
  return (controlBytes.sent + controlBytes.received) / (bytesSent + bytesReceived)
}

/** At a relay that passes chunks of 1 MiB on while it fetches them. small-chunks.ts does it for 5 kB. */
export async function measureControlBytes(bench: Bench, source: NodeProcess, figures: Figures): Promise<void> {
  const relay = await startRelay(bench, 'relay', source)
  const streamer = await StreamerProcess.start(bench)
  await streamer.run({ source: relay.address, name: streams.mib(bench.settings.alone) })
  figures.add('control bytes share 1 MiB', controlShare(await relay.stats()))
  await streamer.program.stop()
  await relay.stop()
}
