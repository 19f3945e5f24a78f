import { systemClock } from '../../lib/base/clock.ts'
import { Peer } from '../../lib/network/peer.ts'
import { type HandedOver, type HandOverOptions, handOver } from '../../lib/publisher/hand-over.ts'
import type { PublishedStream } from '../../lib/store/published-stream.ts'
import { VideoDatabase } from '../../lib/store/video-database.ts'
import { chunkStart } from '../../lib/stream/records.ts'
import { Signer } from '../../lib/stream/signing.ts'
import { makeFolder } from './folders.ts'
import { sha256 } from './network.ts'
import { seededBytes, seededChance } from './seeded.ts'

/** A stream that was cut at the publisher's side, ready to be handed over. */
export interface CutStream {
  stream: PublishedStream
  chunks: Buffer[]
  sha256: string
  key: string
}

export interface CutOptions {
  count: number
  sizeBytes: number
  seed?: number
  epoch?: number
  signer?: Signer
}

export const publisherKey = new Signer(Buffer.alloc(32, 1))
export const strangerKey = new Signer(Buffer.alloc(32, 2))

/** The publishers of one test; `close` ends them. */
export class TestPublishers {
  readonly #databases: VideoDatabase[] = []
  readonly #peers: Peer[] = []

  /** Cuts `count` chunks of random bytes. */
  async cut(name: string, options: CutOptions): Promise<CutStream> {
    const { count, sizeBytes, seed = 1, epoch = 1, signer = publisherKey } = options
    const bytes = seededBytes(seed, count * sizeBytes)
    const database = await VideoDatabase.open(await makeFolder(), { create: true, signer, firstEpoch: epoch })
    this.#databases.push(database)
    const writer = await database.create(name, { replace: false })
    const chunks = Array.from({ length: count }, (_, i) => bytes.subarray(i * sizeBytes, (i + 1) * sizeBytes))
    for (const chunk of chunks) await writer.append(chunk, { start: chunkStart.continues, times: [] })
    await writer.finish({ format: 'bytes', ending: 'bin', tracks: [], durationMs: 0 })
    const stream = await database.find(name)
    if (!stream) throw new Error(`${name} was not cut`)
    return { stream, chunks, sha256: sha256(bytes), key: signer.publicKey.toString('base64url') }
  }

  peer(address: string): Peer {
    const peer = new Peer(address)
    this.#peers.push(peer)
    return peer
  }

  /** Hands a stream over through a connection of its own. */
  handOver(address: string, cut: CutStream, options: Partial<HandOverOptions> = {}): Promise<HandedOver> {
    return handOver({
      source: this.peer(address),
      stream: cut.stream,
      replace: false,
      clock: systemClock,
      chance: seededChance(1),
      signal: new AbortController().signal,
      ...options,
    })
  }

  /** Hands over all pages and the first `count` chunks, and leaves it at that. */
  async sendPart(address: string, { stream, chunks }: CutStream, count: number): Promise<void> {
    const peer = this.peer(address)
    const { upload } = await peer.publish(stream.descriptor.signed, await stream.contentDigest(), { replace: false })
    await peer.publishPages(upload, 0, [(await stream.page(0)).signed])
    for (const [index, chunk] of chunks.slice(0, count).entries()) await peer.publishChunks(upload, index, 1, chunk)
  }

  async close(): Promise<void> {
    for (const peer of this.#peers.splice(0)) await peer.close()
    for (const database of this.#databases.splice(0)) await database.close()
  }
}
