import type { StreamRow } from '../network/contract.ts'
import type { Page } from '../stream/page.ts'
import type { Run } from '../stream/runs.ts'
import type { KnownStream } from '../transfer/known-stream.ts'

export interface ReadOptions {
  /** Only what is here or already under way here. */
  local: boolean
  /** Who reads: windows of chunks fetched ahead follow each reader. */
  reader: string
  signal: AbortSignal
}

/** Where a node has its streams from: a source from its video database, a relay from its store and its masters. */
export interface Provider {
  list(): Promise<StreamRow[]>
  /** `fresh`: looks for a newer epoch. Undefined when there is no such stream. */
  find(name: string, fresh: boolean): Promise<KnownStream | undefined>
  /** Verified bytes of a run; undefined when it is not here and `local` was asked. */
  read(stream: KnownStream, page: Page, run: Run, options: ReadOptions): Promise<Uint8Array | undefined>
  /** Chunks found wrong when read back from disk. */
  readonly badChunks: number
  readonly stored: { chunks: number; bytes: number } | null
  /** The masters above, nearest first. */
  readonly chain: readonly string[]
  readonly master: string | null
}
