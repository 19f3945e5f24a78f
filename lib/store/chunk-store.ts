import type { Closeable } from '../base/lifecycle.ts'
import type { Page } from '../stream/page.ts'
import type { Signed } from '../stream/signed.ts'
import type { StreamKey } from '../stream/stream-key.ts'

/** Consecutive chunks, `first` inclusive, `end` exclusive. */
export interface ChunkRange {
  first: number
  end: number
}

export interface StoreStats {
  chunks: number
  bytes: number
  /** Chunks found wrong when they were read back. */
  badChunks: number
}

/**
 * Where a relay keeps chunks. What it answers is verified: bytes that no longer match their record are dropped,
 * counted and reported as absent. Every implementation passes test/compliance/chunk-store.ts.
 */
export interface ChunkStore extends Closeable {
  /** Whether the chunk is held, as far as the index knows; its bytes may still prove wrong. */
  has(stream: StreamKey, index: number): boolean
  /** All held ranges of a stream, in order, merged. */
  held(stream: StreamKey): ChunkRange[]
  /** Streams of which at least one chunk is held. */
  streams(): StreamKey[]
  /**
   * Bytes of `count` chunks from `first`, one after another, or undefined unless all are held and right. All of one page. The
   * caller is their one user (buffer-pool.ts).
   */
  get(page: Page, first: number, count: number): Promise<Buffer | undefined>
  /**
   * Keeps verified bytes of `count` chunks from `first` of `page`. Resolves false when there is no room (disk full,
   * read-only, I/O error): the caller goes on without the store. Chunks already held are not written again.
   */
  put(page: Page, first: number, count: number, bytes: Uint8Array): Promise<boolean>
  /** Drops one stream whole. */
  delete(stream: StreamKey): Promise<void>
  /** Called with ranges that are no longer held: evicted, found wrong, or deleted. */
  onLost(listener: (stream: StreamKey, range: ChunkRange) => void): void
  stats(): StoreStats
}

/** What a relay remembers of streams beside their chunks: descriptors, pages and the keys first seen for names. */
export interface ManifestStore {
  /** Descriptors kept, newest epoch per name. */
  descriptors(): Promise<{ name: string; signed: Signed }[]>
  putDescriptor(name: string, signed: Signed): Promise<void>
  /** The page of `stream` that starts at chunk `first`. */
  getPage(stream: StreamKey, first: number): Promise<Signed | undefined>
  putPage(stream: StreamKey, first: number, signed: Signed): Promise<void>
  /** The public key pinned for a name. */
  getPin(name: string): Promise<Uint8Array | undefined>
  putPin(name: string, publicKey: Uint8Array): Promise<void>
}
