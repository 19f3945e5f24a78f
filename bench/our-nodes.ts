import { rm } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { NodeStats } from '../lib/network/contract.ts'
import { Peer } from '../lib/network/peer.ts'
import { type Bench, newFolder, projectPath } from './bench.ts'
import type { Program } from './programs.ts'

/** `bin/node.js` as a process. */
export interface NodeProcess {
  name: string
  address: string
  pid: number
  /** From its start until it listened. */
  startSeconds: number
  program: Program
  stats(): Promise<NodeStats>
  /** Ends it; a relay's chunks are removed, unless they are kept. */
  stop(options?: { keepChunks?: boolean }): Promise<void>
}

export function startSource(bench: Bench, videoDatabase: string): Promise<NodeProcess> {
  return startNode(bench, 'source', ['--videodatabase', videoDatabase])
}

/** A relay that its master knows. Without `chunks` it begins with an empty folder. */
export async function startRelay(
  bench: Bench,
  name: string,
  master: NodeProcess,
  options: { env?: Record<string, string>; chunks?: string } = {},
): Promise<NodeProcess> {
  const chunks = options.chunks ?? (await newFolder(bench, 'chunks'))
  const args = ['--chunkdirectory', chunks, '--master', master.address]
  const relay = await startNode(bench, name, args, options.env, chunks)
  while ((await relay.stats()).master === null) await pause(20)
  return relay
}

async function startNode(
  bench: Bench,
  name: string,
  args: string[],
  env: Record<string, string> = {},
  chunks?: string,
): Promise<NodeProcess> {
  const all = [projectPath('bin/node.js'), '--name', name, '--port', '0', '--json', '--log', 'error', ...args]
  const startedAt = performance.now()
  const program = bench.programs.start(name, process.execPath, all, env)
  const { address } = await program.json<{ address: string }>()
  const startSeconds = (performance.now() - startedAt) / 1000
  return {
    name,
    address,
    pid: program.pid,
    startSeconds,
    program,
    async stats() {
      const peer = new Peer(address)
      try {
        return await peer.stats({ timeoutMs: 10_000 })
      } finally {
        await peer.close()
      }
    },
    async stop({ keepChunks = false } = {}) {
      await program.stop()
      if (chunks !== undefined && !keepChunks) await rm(chunks, { recursive: true, force: true })
    },
  }
}
