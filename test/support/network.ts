import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { isFailure } from '../../lib/base/errors.ts'
import { silentLogger } from '../../lib/base/log.ts'
import type { NodeStats } from '../../lib/network/contract.ts'
import type { RunningNode } from '../../lib/node/node.ts'
import { type NodeOptions, startNode } from '../../lib/node/start.ts'
import { VideoDatabase } from '../../lib/store/video-database.ts'
import { parseLink } from '../../lib/stream/links.ts'
import { chunkStart } from '../../lib/stream/records.ts'
import type { Output } from '../../lib/streamer/output.ts'
import { type StreamOptions, type StreamSummary, streamTo } from '../../lib/streamer/stream.ts'
import { makeFolder, removeFolders } from './folders.ts'
import { seededBytes } from './seeded.ts'
import { until } from './until.ts'

/** What was published, to compare outputs with. */
export interface Published {
  sizeBytes: number
  sha256: string
  key: string
  chunks: Buffer[]
}

/** Publishes `count` chunks of `sizeBytes` random bytes, encrypted when there is a content key. */
export async function publishBytes(
  directory: string,
  name: string,
  options: { count: number; sizeBytes: number; seed?: number; replace?: boolean; contentKey?: Buffer },
): Promise<Published> {
  const { count, sizeBytes, seed = 1, replace = false, contentKey } = options
  const bytes = seededBytes(seed, count * sizeBytes)
  const database = await VideoDatabase.open(directory, { create: true })
  try {
    const writer = await database.create(name, { replace, contentKey })
    const chunks = Array.from({ length: count }, (_, i) => bytes.subarray(i * sizeBytes, (i + 1) * sizeBytes))
    for (const chunk of chunks) await writer.append(chunk, { start: chunkStart.continues, times: [] })
    const { publicKey } = await writer.finish({ format: 'bytes', ending: 'bin', tracks: [], durationMs: 0 })
    return { sizeBytes: bytes.length, sha256: sha256(bytes), key: publicKey.toString('base64url'), chunks }
  } finally {
    await database.close()
  }
}

/** Undefined for a port that is in use; any other failure is thrown. */
function portInUse(error: unknown): undefined {
  if (!isFailure(error, 'port-in-use')) throw error
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Nodes of one test, in this process, on loopback with free ports; `close` ends them all and removes their folders. */
export class TestNetwork {
  readonly #nodes: RunningNode[] = []
  #source = ''

  /** A video database and its source. */
  async source(options: Partial<NodeOptions> = {}): Promise<RunningNode & { directory: string }> {
    this.#source = options.videoDatabase ?? (await makeFolder())
    await VideoDatabase.open(this.#source, { create: true }).then((database) => database.close())
    const node = await this.#start({ name: 'source', videoDatabase: this.#source, ...options })
    return Object.assign(node, { directory: this.#source })
  }

  async relay(
    name: string,
    masters: string[],
    options: Partial<NodeOptions> = {},
  ): Promise<RunningNode & { directory: string }> {
    const directory = options.chunkDirectory ?? join(await makeFolder(), 'chunks')
    const node = await this.#start({ name, masters, chunkDirectory: directory, ...options })
    return Object.assign(node, { directory })
  }

  async #start(options: Partial<NodeOptions> & { name: string }): Promise<RunningNode> {
    // A port that a node of this process has just left is free a little later: ZeroMQ closes in its own time.
    const node = await until(
      'the port',
      () => startNode({ ip: '127.0.0.1', port: 0, log: silentLogger, ...options }).catch(portInUse),
      (started) => started !== undefined,
    )
    if (!node) throw new Error('unreachable')
    this.#nodes.push(node)
    return node
  }

  /** Ends all nodes and leaves their folders, so that a test can look at them. */
  async stop(): Promise<void> {
    for (const node of this.#nodes.splice(0).reverse()) await node.close()
  }

  async close(): Promise<void> {
    await this.stop()
    await removeFolders()
  }
}

/** Streams `name` from a node and digests what comes. */
export async function streamFrom(
  node: { address: string },
  name: string,
  options: Partial<StreamOptions> & { onBytes?: (soFar: number) => void | Promise<void> } = {},
): Promise<{ sha256: string; summary: StreamSummary }> {
  const hash = createHash('sha256')
  let soFar = 0
  const output: Output = {
    closed: false,
    async write(bytes) {
      hash.update(bytes)
      soFar += bytes.length
      await options.onBytes?.(soFar)
    },
    async close() {},
  }
  const summary = await streamTo({ source: parseLink(node.address), name, output, ...options })
  return { sha256: hash.digest('hex'), summary }
}

export function copiesSent(stats: NodeStats, published: Published): number {
  return stats.bytesSent / published.sizeBytes
}
