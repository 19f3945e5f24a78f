import { rm } from 'node:fs/promises'
import { type Bench, newFolder, projectPath } from '../bench.ts'
import type { Contender } from '../contender.ts'
import { jobClient, whyNot } from '../job-client.ts'
import { freePort, type Program } from '../programs.ts'
import { measure, type Sample } from '../sample.ts'
import { mib } from '../settings.ts'

export const zerorpcName = 'npm zerorpc chain'
const file = 'zerorpc-chain.cjs'

/** Source, relay with a cache in level, client, all by npm zerorpc; each asks for one chunk at a time. Nothing is verified. */
export function zerorpcChain(bench: Bench, media: string): Contender {
  let source: { process: Program; address: string } | undefined
  const start = async (name: string, role: string, target: string, ...rest: string[]) => {
    const port = await freePort()
    const args = [projectPath(`bench/peers/${file}`), role, target, String(port), ...rest]
    const started = bench.programs.start(name, process.execPath, args)
    await started.line()
    return { process: started, address: `tcp://127.0.0.1:${port}` }
  }
  const coldAndWarm = async (count: number): Promise<Sample[]> => {
    if (!source) throw new Error('the source was not started')
    const folder = await newFolder(bench, 'level')
    const relay = await start('zerorpc relay', 'relay', folder, source.address)
    const servers = [
      { role: 'source', pids: [source.process.pid], serves: media },
      { role: 'relay', pids: [relay.process.pid] },
    ]
    const chunks = Math.floor(bench.settings.slow / count)
    const samples: Sample[] = []
    for (const temperature of ['cold', 'warm'] as const) {
      const job = { relay: relay.address, count: chunks }
      const clients = await Promise.all(
        Array.from({ length: count }, () => jobClient(bench, 'zerorpc client', [file, 'client'], job)),
      )
      samples.push(await measure(bench, { contender: zerorpcName, temperature }, servers, clients, chunks * mib))
      await Promise.all(clients.map((client) => client.stop()))
    }
    await relay.process.stop()
    await rm(folder, { recursive: true, force: true })
    return samples
  }
  return {
    name: zerorpcName,
    missing: () => whyNot(bench, zerorpcName, file),
    start: async () => {
      source = await start('zerorpc source', 'source', media)
    },
    round: async () => [...(await coldAndWarm(1)), ...(bench.settings.isQuick ? [] : await coldAndWarm(8))],
  }
}
