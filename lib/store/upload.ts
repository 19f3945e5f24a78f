import { type FileHandle, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { digestOf } from '../base/digest.ts'
import { errnoOf, Failure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import type { Descriptor } from '../stream/descriptor.ts'
import { Page } from '../stream/page.ts'
import { runAt } from '../stream/runs.ts'
import type { Signed } from '../stream/signed.ts'
import { contentDigest, encodePage, readPage, streamFiles } from './published-stream.ts'
import { decodeSigned, encodeSigned } from './rows.ts'

/** Names an upload: the descriptor and what `contentDigest` tells of its pages. Equal content continues, other does not. */
export function uploadIdOf(descriptor: Descriptor, content: Uint8Array): string {
  return digestOf(Buffer.concat([descriptor.signed.body, content])).toString('hex')
}

/**
 * A stream that a publisher hands over, in a folder of its own: descriptor, pages and media file in the form that
 * `PublishedStream` reads, kept as they came, with the publisher's signatures.
 *
 * How it works. Pages and chunks come in order, and each is verified before it is written; so what is here is told by two
 * counts. Calls wait for one another (`#inTurn`): a publisher may have several under way. After a restart nothing is
 * believed: `open` verifies again what lies in the folder, and goes on behind the last page and chunk that are right.
 */
export class Upload implements Closeable {
  readonly id: string
  readonly descriptor: Descriptor
  /** When it was last called for, by the clock of who owns it, ms. */
  usedAt = 0
  /** Whether it may take the place of a stream that is published under the name. */
  replace = false
  readonly #media: FileHandle
  readonly #pagesFile: FileHandle
  /** Where each page begins in the file of pages, and where the next one will. */
  readonly #pageStarts = [0]
  readonly #pageDigests: Buffer[] = []
  /** Where the next page begins in the media file. */
  #pageOffset: number
  #page: Page | undefined
  #chunks = 0
  #waitingBytes = 0
  #turn: Promise<unknown> = Promise.resolve()
  #closedBy: Failure | undefined

  private constructor(id: string, descriptor: Descriptor, media: FileHandle, pagesFile: FileHandle) {
    this.id = id
    this.descriptor = descriptor
    this.#media = media
    this.#pagesFile = pagesFile
    this.#pageOffset = descriptor.init.length
  }

  /** Takes up what lies in `folder`, or begins there when that is nothing, or of no use. */
  static async open(folder: string, id: string, descriptor: Descriptor): Promise<Upload> {
    const { name, fields, signed, init } = descriptor
    const files = streamFiles(folder, name, fields.ending)
    try {
      if (!(await isBegun(files.descriptor, signed))) {
        await rm(folder, { recursive: true, force: true })
        await mkdir(folder, { recursive: true })
        await writeFile(files.media, init)
        await writeFile(files.pages, '')
        // The last file: a folder that has it has the others.
        await writeFile(files.descriptor, encodeSigned(signed))
      }
      const media = await open(files.media, 'r+')
      const pagesFile = await open(files.pages, 'r+').catch(async (error) => {
        await media.close()
        throw error
      })
      const upload = new Upload(id, descriptor, media, pagesFile)
      await upload.#takeUp()
      return upload
    } catch (error) {
      throw diskFailure(error)
    }
  }

  /** Pages that are here, from the first. */
  get pages(): number {
    return this.#pageDigests.length
  }

  /** Chunks that are here, from the first. */
  get chunks(): number {
    return this.#chunks
  }

  /** Bytes of the media file that are still to come. */
  get missingBytes(): number {
    return this.descriptor.mediaBytes - (this.#page ? this.#page.offsetOf(this.#chunks) : this.descriptor.init.length)
  }

  /** Takes the pages from `from` on; what is here already is passed over. Returns how many are here then. */
  addPages(from: number, signed: readonly Signed[]): Promise<number> {
    return this.#inTurn(async () => {
      if (from > this.pages) throw outOfOrder('page', this.pages, from)
      for (const one of signed.slice(this.pages - from)) await this.#addPage(one)
      return this.pages
    })
  }

  /** Takes `count` chunks from `first`, one after another in `bytes`. Returns how many are here then. */
  addChunks(first: number, count: number, bytes: Uint8Array): Promise<number> {
    if (this.#waitingBytes >= limits.uploadQueueBytes) {
      const told = `${limits.uploadQueueBytes} bytes of ${this.descriptor.name} wait to be written; send fewer at once`
      return Promise.reject(new Failure('over-limit', told))
    }
    this.#waitingBytes += bytes.length
    return this.#inTurn(() => this.#addChunks(first, count, bytes)).finally(() => {
      this.#waitingBytes -= bytes.length
    })
  }

  /** Checks that all is here, and sees it to the disk. Throws `bad-argument` when something is missing, `bad-digest` when the pages are others than were announced. */
  finish(): Promise<void> {
    return this.#inTurn(async () => {
      const { name, chunkCount } = this.descriptor
      if (this.#chunks < chunkCount)
        throw new Failure('bad-argument', `${this.#chunks} of ${chunkCount} chunks of ${name} are here; send the rest`)
      if (uploadIdOf(this.descriptor, contentDigest(this.#pageDigests)) !== this.id)
        throw new Failure('bad-digest', `the pages of ${name} are not those that were announced; publish it again`)
      await this.#media.truncate(this.descriptor.mediaBytes)
      // What was published must survive a power cut.
      await Promise.all([this.#media.datasync(), this.#pagesFile.datasync()])
    })
  }

  /** Ends what is under way with `reason`. What was written stays. */
  async close(reason = new Failure('closed', 'the node is closing')): Promise<void> {
    if (this.#closedBy) return
    this.#closedBy = reason
    await this.#turn.catch(() => {})
    await this.#media.close()
    await this.#pagesFile.close()
  }

  async #takeUp(): Promise<void> {
    try {
      await this.#takeUpPages()
      await this.#takeUpChunks()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async #takeUpPages(): Promise<void> {
    const { size } = await this.#pagesFile.stat()
    for (let start = 0; start < size; ) {
      const head = Buffer.alloc(4)
      await this.#pagesFile.read(head, 0, 4, start)
      const end = start + 4 + head.readUInt32BE()
      // A page that was torn by a kill is sent again.
      if (end > size || end - start > limits.pageBytes + 1024) break
      try {
        const signed = await readPage(this.#pagesFile, start, end)
        if (!signed) break
        this.#note(this.#check(signed), end)
      } catch (error) {
        if (error instanceof Failure) break
        throw error
      }
      start = end
    }
  }

  async #takeUpChunks(): Promise<void> {
    const { init } = this.descriptor
    const head = Buffer.alloc(init.length)
    await this.#media.read(head, 0, head.length, 0)
    if (!head.equals(init)) await writeAll(this.#media, init, 0)
    const end = Math.min(this.descriptor.chunkCount, this.pages * this.descriptor.fields.pageRecords)
    while (this.#chunks < end) {
      const page = await this.#pageOf(this.#chunks)
      const run = runAt(page, this.#chunks)
      // Zeros are in the place of what is not there.
      const bytes = Buffer.alloc(page.bytesOf(run.first, run.count))
      await this.#media.read(bytes, 0, bytes.length, page.offsetOf(run.first))
      const wrong = page.firstWrong(run.first, run.count, bytes)
      this.#chunks = wrong === -1 ? run.first + run.count : wrong
      if (wrong !== -1) return
    }
  }

  async #addPage(signed: Signed): Promise<void> {
    const page = this.#check(signed)
    const bytes = encodePage(signed)
    const start = this.#pageStarts.at(-1) ?? 0
    await this.#writing(() => writeAll(this.#pagesFile, bytes, start))
    this.#note(page, start + bytes.length)
  }

  /** Throws unless `signed` is the next page of the stream. */
  #check(signed: Signed): Page {
    const { name, fields, mediaBytes } = this.descriptor
    const page = Page.open(signed, this.descriptor)
    const first = this.pages * fields.pageRecords
    const end = Math.min(fields.chunkCount, first + fields.pageRecords)
    const isNext = page.first === first && page.end === end && page.offsetOf(first) === this.#pageOffset
    const isLast = end === fields.chunkCount
    const pageEnd = page.offsetOf(first) + page.bytesOf(first, page.count)
    if (isNext && page.count > 0 && page.last === isLast && (isLast ? pageEnd === mediaBytes : pageEnd < mediaBytes))
      return page
    throw new Failure(
      'bad-format',
      `expected the page of ${name} with chunks ${first} to ${end - 1}, in line with its descriptor, got ${page.first} to ${page.end - 1}`,
    )
  }

  #note(page: Page, end: number): void {
    this.#pageDigests.push(digestOf(page.signed.body))
    this.#pageStarts.push(end)
    this.#pageOffset = page.offsetOf(page.first) + page.bytesOf(page.first, page.count)
    this.#page ??= page
  }

  async #addChunks(first: number, count: number, bytes: Uint8Array): Promise<number> {
    const next = this.#chunks
    const end = first + count
    if (first > next) throw outOfOrder('chunk', next, first)
    if (end <= next) return next
    const page = await this.#pageOf(next)
    // Another publisher of the same content was faster: what is here already is not written again.
    const known = first === next ? 0 : page.bytesOf(first, next - first)
    const rest = bytes.subarray(known)
    const wrong = page.firstWrong(next, end - next, rest)
    if (wrong !== -1)
      throw new Failure(
        'bad-digest',
        `chunk ${wrong} of ${this.descriptor.name} does not match its record; send it again`,
      )
    await this.#writing(() => writeAll(this.#media, rest, page.offsetOf(next)))
    this.#chunks = end
    return end
  }

  /** The page that holds chunk `index`; it is here when its chunks may come. */
  async #pageOf(index: number): Promise<Page> {
    if (this.#page?.has(index)) return this.#page
    const { name, fields } = this.descriptor
    const at = Math.floor(index / fields.pageRecords)
    const [start, end] = [this.#pageStarts[at], this.#pageStarts[at + 1]]
    if (start === undefined || end === undefined)
      throw new Failure('bad-argument', `the page of chunk ${index} of ${name} is not here; send it first`)
    const signed = await readPage(this.#pagesFile, start, end)
    if (!signed) throw new Failure('bad-format', `a page of ${name} was damaged on the disk; publish it again`)
    this.#page = Page.open(signed, this.descriptor)
    return this.#page
  }

  /** After all that was asked for before; an error of one says nothing of the next. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn
      .catch(() => {})
      .then(() => {
        if (this.#closedBy) throw this.#closedBy
        return work()
      })
    this.#turn = turn
    turn.catch(() => {})
    return turn
  }

  async #writing(write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      throw diskFailure(error)
    }
  }
}

async function isBegun(path: string, signed: Signed): Promise<boolean> {
  try {
    const found = decodeSigned(await readFile(path))
    return found !== undefined && Buffer.from(found.body).equals(signed.body)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
}

function outOfOrder(what: string, expected: number, got: number): Failure {
  return new Failure('bad-argument', `expected ${what} ${expected} next, got ${got}; ask with publish where to go on`)
}

function diskFailure(error: unknown): unknown {
  const errno = errnoOf(error)
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return new Failure('disk-full', 'the disk of the source is full; make room there and publish again', {
      cause: error,
    })
  if (errno === 'EACCES' || errno === 'EROFS' || errno === 'EPERM')
    return new Failure('directory-unusable', 'the source cannot write to its video database', { cause: error })
  return error
}
