import { Failure } from '../base/errors.ts'
import type { Page } from '../stream/page.ts'
import { RangeSet } from '../stream/ranges.ts'
import type { Signed } from '../stream/signed.ts'
import type { StreamKey } from '../stream/stream-key.ts'
import type { ChunkRange, ChunkStore, ManifestStore, StoreStats } from './chunk-store.ts'

/** Chunks in memory, for tests and the simulator. Never evicts. */
export class MemoryChunkStore implements ChunkStore {
  readonly #chunks = new Map<StreamKey, Map<number, Uint8Array>>()
  readonly #held = new Map<StreamKey, RangeSet>()
  readonly #listeners: ((stream: StreamKey, range: ChunkRange) => void)[] = []
  #badChunks = 0
  #closed = false

  has(stream: StreamKey, index: number): boolean {
    return this.#held.get(stream)?.has(index) ?? false
  }

  held(stream: StreamKey): ChunkRange[] {
    return (this.#held.get(stream)?.list() ?? []).map(([first, end]) => ({ first, end }))
  }

  streams(): StreamKey[] {
    return [...this.#held].filter(([, held]) => !held.isEmpty).map(([stream]) => stream)
  }

  async get(page: Page, first: number, count: number): Promise<Buffer | undefined> {
    this.#checkOpen()
    if (!this.#held.get(page.stream)?.covers(first, first + count)) return undefined
    const chunks = this.#chunks.get(page.stream)
    const bytes = Buffer.concat(Array.from({ length: count }, (_, i) => chunks?.get(first + i) ?? new Uint8Array()))
    if (page.firstWrong(first, count, bytes) === -1) return bytes
    this.#badChunks++
    this.#lose(page.stream, first, first + count)
    return undefined
  }

  async put(page: Page, first: number, count: number, bytes: Uint8Array): Promise<boolean> {
    this.#checkOpen()
    const chunks = this.#chunks.get(page.stream) ?? new Map<number, Uint8Array>()
    const held = this.#held.get(page.stream) ?? new RangeSet()
    this.#chunks.set(page.stream, chunks)
    this.#held.set(page.stream, held)
    for (let index = first; index < first + count; index++) {
      const start = page.offsetOf(index) - page.offsetOf(first)
      chunks.set(index, Buffer.from(bytes.subarray(start, start + page.bytesOf(index, 1))))
    }
    held.add(first, first + count)
    return true
  }

  async delete(stream: StreamKey): Promise<void> {
    this.#checkOpen()
    for (const { first, end } of this.held(stream)) this.#lose(stream, first, end)
  }

  onLost(listener: (stream: StreamKey, range: ChunkRange) => void): void {
    this.#listeners.push(listener)
  }

  stats(): StoreStats {
    let chunks = 0
    let bytes = 0
    for (const stream of this.#chunks.values()) {
      for (const chunk of stream.values()) {
        chunks++
        bytes += chunk.length
      }
    }
    return { chunks, bytes, badChunks: this.#badChunks }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #lose(stream: StreamKey, first: number, end: number): void {
    this.#held.get(stream)?.remove(first, end)
    for (let index = first; index < end; index++) this.#chunks.get(stream)?.delete(index)
    for (const listener of this.#listeners) listener(stream, { first, end })
  }

  #checkOpen(): void {
    if (this.#closed) throw new Failure('closed', 'the chunk store is closed')
  }
}

/** Descriptors, pages and pins in memory: what a streamer needs while it runs. It keeps no pages. */
export class MemoryManifestStore implements ManifestStore {
  readonly #descriptors = new Map<string, Signed>()
  readonly #pins = new Map<string, Uint8Array>()

  async descriptors(): Promise<{ name: string; signed: Signed }[]> {
    return [...this.#descriptors].map(([name, signed]) => ({ name, signed }))
  }

  async putDescriptor(name: string, signed: Signed): Promise<void> {
    this.#descriptors.set(name, signed)
  }

  // A reader of a stream keeps the pages it needs decoded; memory must not grow with the stream.
  async getPage(): Promise<undefined> {
    return undefined
  }

  async putPage(): Promise<void> {}

  async getPin(name: string): Promise<Uint8Array | undefined> {
    return this.#pins.get(name)
  }

  async putPin(name: string, publicKey: Uint8Array): Promise<void> {
    this.#pins.set(name, publicKey)
  }
}
