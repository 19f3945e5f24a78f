import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pooled } from '../base/buffer-pool.ts'
import { digestOf } from '../base/digest.ts'
import { Failure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import { Descriptor } from '../stream/descriptor.ts'
import { Page } from '../stream/page.ts'
import type { Signed } from '../stream/signed.ts'
import { decodeSigned, encodeSigned } from './rows.ts'

export interface StreamFiles {
  media: string
  descriptor: string
  pages: string
}

/** The files of a published stream; `ending` is that of the media file, empty when it has none. */
export function streamFiles(folder: string, name: string, ending: string): StreamFiles {
  return {
    media: join(folder, ending ? `${name}.${ending}` : name),
    descriptor: join(folder, `${name}.descriptor`),
    pages: join(folder, `${name}.pages`),
  }
}

/** One stream of a video database, open for reading. Pages are verified when they are read, chunks each time they are. */
export class PublishedStream implements Closeable {
  readonly descriptor: Descriptor
  readonly #media: FileHandle
  readonly #pagesFile: FileHandle
  /** Where each page begins in the file of pages. */
  readonly #pageOffsets: number[]
  readonly #pages = new Map<number, Page>()
  #pageBytes = 0
  #users = 0
  #isLeft = false

  private constructor(descriptor: Descriptor, media: FileHandle, pagesFile: FileHandle, pageOffsets: number[]) {
    this.descriptor = descriptor
    this.#media = media
    this.#pagesFile = pagesFile
    this.#pageOffsets = pageOffsets
  }

  /** Throws `bad-format` or `bad-signature` when the folder does not hold what was published. */
  static async open(folder: string, name: string): Promise<PublishedStream> {
    const signed = decodeSigned(await readFile(streamFiles(folder, name, '').descriptor))
    if (!signed)
      throw new Failure('bad-format', `the descriptor in ${folder} is damaged; publish the stream anew with --replace`)
    const descriptor = Descriptor.open(signed)
    if (descriptor.name !== name)
      throw new Failure(
        'bad-format',
        `the folder ${folder} holds the stream ${descriptor.name}; a folder must keep the name of its stream`,
      )
    const files = streamFiles(folder, name, descriptor.fields.ending)
    const media = await open(files.media, 'r')
    try {
      const { size } = await media.stat()
      if (size !== descriptor.mediaBytes) {
        throw new Failure(
          'bad-format',
          `expected ${files.media} to have ${descriptor.mediaBytes} bytes, got ${size}; publish it anew with --replace`,
        )
      }
      const pagesFile = await open(files.pages, 'r')
      return new PublishedStream(descriptor, media, pagesFile, await scanPages(pagesFile))
    } catch (error) {
      await media.close()
      throw error
    }
  }

  /** The page that holds chunk `index`. */
  async page(index: number): Promise<Page> {
    const first = this.descriptor.pageStart(index)
    const held = this.#pages.get(first)
    if (held) return held
    const at = first / this.descriptor.fields.pageRecords
    const [start, end] = [this.#pageOffsets[at], this.#pageOffsets[at + 1]]
    if (start === undefined || end === undefined) {
      throw new Failure(
        'bad-format',
        `the pages of ${this.descriptor.name} end before chunk ${index}; publish it anew with --replace`,
      )
    }
    const signed = await this.#using(() => readPage(this.#pagesFile, start, end))
    if (!signed)
      throw new Failure('bad-format', `a page of ${this.descriptor.name} is damaged; publish it anew with --replace`)
    const page = Page.open(signed, this.descriptor)
    this.#remember(page)
    return page
  }

  /** What `contentDigest` tells of all pages. */
  async contentDigest(): Promise<Buffer> {
    const digests: Buffer[] = []
    const { chunkCount } = this.descriptor
    for (let index = 0; index < chunkCount; ) {
      const page = await this.page(index)
      digests.push(digestOf(page.signed.body))
      index = page.end
    }
    return contentDigest(digests)
  }

  /** Bytes of `count` chunks from `first`, of which the caller is the one user; undefined when the file no longer holds what was published. */
  async read(page: Page, first: number, count: number): Promise<Buffer | undefined> {
    const bytes = pooled(page.bytesOf(first, count))
    const offset = page.offsetOf(first)
    const isWhole = await this.#using(async () => {
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await this.#media.read(bytes, done, bytes.length - done, offset + done)
        if (bytesRead === 0) return false
        done += bytesRead
      }
      return true
    })
    return isWhole && page.firstWrong(first, count, bytes) === -1 ? bytes : undefined
  }

  /** Reads in progress end first. */
  async close(): Promise<void> {
    if (this.#isLeft) return
    this.#isLeft = true
    if (this.#users === 0) await this.#closeFiles()
  }

  async #using<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isLeft && this.#users === 0)
      throw new Failure('stream-changed', `${this.descriptor.name} was published again or removed`)
    this.#users++
    try {
      return await work()
    } finally {
      this.#users--
      if (this.#isLeft && this.#users === 0) await this.#closeFiles()
    }
  }

  async #closeFiles(): Promise<void> {
    await this.#media.close()
    await this.#pagesFile.close()
  }

  #remember(page: Page): void {
    this.#pages.set(page.first, page)
    this.#pageBytes += page.signed.body.length
    for (const [first, oldest] of this.#pages) {
      if (this.#pageBytes <= limits.pageCacheBytes || this.#pages.size <= 2) break
      this.#pages.delete(first)
      this.#pageBytes -= oldest.signed.body.length
    }
  }
}

/** One digest for all pages of a stream: that of the digests of their bodies, one after another. */
export function contentDigest(pageDigests: readonly Buffer[]): Buffer {
  return digestOf(Buffer.concat(pageDigests))
}

/** Pages stand one after another, each behind its length (32 bits, big endian): reads the lengths, not the pages. */
async function scanPages(file: FileHandle): Promise<number[]> {
  const { size } = await file.stat()
  const offsets = [0]
  const head = Buffer.alloc(4)
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(head, 0, 4, at)
    at += 4 + head.readUInt32BE()
    if (bytesRead < 4 || at > size)
      throw new Failure('bad-format', 'a file of pages is cut short; publish the stream anew with --replace')
    offsets.push(at)
  }
  return offsets
}

/** How a page stands in the file of pages. */
export function encodePage(signed: Signed): Buffer {
  const body = encodeSigned(signed)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

/** The page that stands from `start` to `end` in a file of pages, unverified; undefined when it is damaged. */
export async function readPage(file: FileHandle, start: number, end: number): Promise<Signed | undefined> {
  const bytes = Buffer.alloc(Math.max(0, end - start - 4))
  await file.read(bytes, 0, bytes.length, start + 4)
  return decodeSigned(bytes)
}
