import { type FileHandle, open, readdir, stat, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, Failure } from '../base/errors.ts'

/** Files open for reading at a time. */
const openFiles = 32

/** The slab files of one store: opened when needed, kept open while few, never written again once closed. */
export class SlabFiles {
  readonly #directory: string
  /** In order of last use. */
  readonly #readers = new Map<number, Reader>()

  constructor(directory: string) {
    this.#directory = directory
  }

  path(slab: number): string {
    return join(this.#directory, `${String(slab).padStart(10, '0')}.slab`)
  }

  /** Slabs on the disk and their sizes, bytes. */
  async list(): Promise<Map<number, number>> {
    const slabs = new Map<number, number>()
    for (const name of await readdir(this.#directory)) {
      const match = /^(\d{10,15})\.slab$/.exec(name)
      if (match) slabs.set(Number(match[1]), (await stat(join(this.#directory, name))).size)
    }
    return slabs
  }

  create(slab: number): Promise<FileHandle> {
    return open(this.path(slab), 'wx', 0o600)
  }

  /** Reads exactly `buffer.length` bytes; false when the slab is shorter than that or gone. */
  async read(slab: number, offset: number, buffer: Buffer): Promise<boolean> {
    const reader = this.#reader(slab)
    reader.users++
    try {
      const handle = await reader.opening
      for (let done = 0; done < buffer.length; ) {
        const { bytesRead } = await handle.read(buffer, done, buffer.length - done, offset + done)
        if (bytesRead === 0) return false
        done += bytesRead
      }
      return true
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EIO') return false
      throw new Failure('store-broken', `cannot read ${this.path(slab)}`, { cause: error })
    } finally {
      reader.users--
      if (reader.isLeft && reader.users === 0) closeQuietly(reader)
    }
  }

  /** Removes a slab; reads in progress end well. */
  async remove(slab: number): Promise<void> {
    const reader = this.#readers.get(slab)
    this.#leave(slab)
    // A read that has begun may not have its file open yet.
    await reader?.opening.catch(() => {})
    await unlink(this.path(slab)).catch((error) => {
      if (errnoOf(error) !== 'ENOENT') throw error
    })
  }

  /** Bytes free on the disk. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#directory)
    return bavail * bsize
  }

  async close(): Promise<void> {
    for (const slab of [...this.#readers.keys()]) this.#leave(slab)
  }

  #reader(slab: number): Reader {
    let reader = this.#readers.get(slab)
    if (reader) this.#readers.delete(slab)
    else reader = { opening: open(this.path(slab), 'r'), users: 0, isLeft: false }
    this.#readers.set(slab, reader)
    const { opening } = reader
    opening.catch(() => {
      // Another may have been opened since.
      if (this.#readers.get(slab)?.opening === opening) this.#readers.delete(slab)
    })
    for (const [oldest, { users }] of this.#readers) {
      if (this.#readers.size <= openFiles) break
      if (users === 0) this.#leave(oldest)
    }
    return reader
  }

  #leave(slab: number): void {
    const reader = this.#readers.get(slab)
    if (!reader) return
    this.#readers.delete(slab)
    reader.isLeft = true
    if (reader.users === 0) closeQuietly(reader)
  }
}

interface Reader {
  opening: Promise<FileHandle>
  users: number
  /** No longer kept open: closed by the last user. */
  isLeft: boolean
}

function closeQuietly({ opening }: Reader): void {
  opening.then((handle) => handle.close()).catch(() => {})
}
