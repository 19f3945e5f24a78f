import type { Address } from '../stream/address.ts'

/** From whom a run of chunks came. */
export type Origin = 'store' | 'sibling' | 'master' | 'supermaster'

/** What a node did since its start; bytes and chunks are those of chunk payload. */
export class Traffic {
  bytesSent = 0
  chunksSent = 0
  bytesReceived = 0
  chunksReceived = 0
  badChunks = 0
  hedges = 0
  hedgedBytes = 0
  readonly bytesFrom: Record<Origin, number> = { store: 0, sibling: 0, master: 0, supermaster: 0 }
  readonly bytesByPeer: Record<Address, number> = {}

  sent(bytes: number, chunks: number): void {
    this.bytesSent += bytes
    this.chunksSent += chunks
  }

  /** Chunks that a publisher handed over. */
  uploaded(bytes: number, chunks: number): void {
    this.bytesReceived += bytes
    this.chunksReceived += chunks
  }

  received(origin: Origin, address: Address, bytes: number, chunks: number): void {
    this.bytesReceived += bytes
    this.chunksReceived += chunks
    this.bytesFrom[origin] += bytes
    this.bytesByPeer[address] = (this.bytesByPeer[address] ?? 0) + bytes
  }
}
