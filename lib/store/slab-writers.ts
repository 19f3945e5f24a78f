import type { FileHandle } from 'node:fs/promises'
import type { StreamKey } from '../stream/stream-key.ts'
import type { SlabFiles } from './slab-files.ts'
import type { Slab, SlabIndex } from './slab-index.ts'

/** Where bytes are about to be written. */
export interface Place {
  slab: Slab
  slabOffset: number
  writer: Writer
}

/** A slab being written. */
interface Writer {
  slab: Slab
  handle: FileHandle
  /** Where the next write goes. */
  end: number
  /** Places given out and not yet written. */
  users: number
  /** No longer written to: closed by the last user. */
  isLeft: boolean
  /** Settled when the writes before are done, well or not. */
  written: Promise<void>
}

/** The slabs that a store appends to, one a stream; a full one is closed and the next begun. */
export class SlabWriters {
  readonly #files: SlabFiles
  readonly #index: SlabIndex
  readonly #slabBytes: number
  readonly #writers = new Map<StreamKey, Writer>()
  #nextSlab = 1

  /** `slabBytes`: size at which a slab is closed. */
  constructor(files: SlabFiles, index: SlabIndex, slabBytes: number) {
    this.#files = files
    this.#index = index
    this.#slabBytes = slabBytes
  }

  /** A slab that is there already: new ones get greater numbers. */
  known(slab: number): void {
    this.#nextSlab = Math.max(this.#nextSlab, slab + 1)
  }

  /** Slabs that are written to now. */
  get slabs(): Set<number> {
    return new Set([...this.#writers.values()].map((writer) => writer.slab.id))
  }

  /** A place for so many bytes at the end of the stream's slab. One call at a time. */
  async reserve(stream: StreamKey, bytes: number): Promise<Place> {
    const present = this.#writers.get(stream)
    const fits = present && (present.end === 0 || present.end + bytes <= this.#slabBytes)
    const writer = fits ? present : await this.#next(stream)
    const slabOffset = writer.end
    writer.end += bytes
    writer.users++
    this.#index.grow(writer.slab, bytes)
    return { slab: writer.slab, slabOffset, writer }
  }

  /** Throws when the disk fails; the place is given up either way. */
  async write({ slab, slabOffset, writer }: Place, bytes: Uint8Array): Promise<void> {
    // One at a time: the kernel locks a file for each write, and threads that wait for it spin.
    const written = writer.written.then(() => writeAll(writer.handle, bytes, slabOffset))
    writer.written = written.catch(() => {})
    try {
      await written
    } catch (error) {
      // What was being written is lost, what was written before is not: go on in a new slab later.
      if (this.#writers.get(slab.stream) === writer) this.#writers.delete(slab.stream)
      writer.isLeft = true
      throw error
    } finally {
      writer.users--
      if (writer.isLeft && writer.users === 0) await writer.handle.close().catch(() => {})
    }
  }

  /** Closes the slab being written for a stream, behind writes in progress. */
  async leave(stream: StreamKey): Promise<void> {
    const writer = this.#writers.get(stream)
    if (!writer) return
    this.#writers.delete(stream)
    writer.isLeft = true
    if (writer.users === 0) await writer.handle.close().catch(() => {})
  }

  async close(): Promise<void> {
    for (const stream of [...this.#writers.keys()]) await this.leave(stream)
  }

  async #next(stream: StreamKey): Promise<Writer> {
    await this.leave(stream)
    const id = this.#nextSlab++
    const handle = await this.#files.create(id)
    const slab = this.#index.addSlab(id, stream)
    const writer: Writer = { slab, handle, end: 0, users: 0, isLeft: false, written: Promise.resolve() }
    this.#writers.set(stream, writer)
    return writer
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
}
