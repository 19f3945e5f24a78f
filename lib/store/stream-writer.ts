import { type FileHandle, open, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from '../base/digest.ts'
import { errnoOf, Failure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { ContentCipher, type ContentKey } from '../stream/content.ts'
import { Descriptor, type DescriptorFields } from '../stream/descriptor.ts'
import { Page } from '../stream/page.ts'
import type { ChunkRecord, ChunkStart, TrackTimes } from '../stream/records.ts'
import type { Signer } from '../stream/signing.ts'
import { streamIdOf } from '../stream/stream-key.ts'
import { encodePage, streamFiles } from './published-stream.ts'
import { encodeSigned } from './rows.ts'

export interface StreamWriterOptions {
  /** Where the files are made, until they are published. */
  folder: string
  name: string
  epoch: number
  signer: Signer
  /** Given, all content is encrypted under it, and what is stored is ciphertext. */
  contentKey?: ContentKey
  /** Moves the folder to its place. */
  publish(): Promise<void>
}

/** What the descriptor says beyond what the writer counts itself. */
export type Ending = Pick<DescriptorFields, 'format' | 'ending' | 'tracks' | 'durationMs'>

/** Bytes gathered before they are written: small chunks cost no call each. */
const bufferBytes = 1024 * 1024

/** The init segment of a `bytes` stream. */
const noInit = new Uint8Array()

/** Publishes one stream, chunk by chunk in order, in constant memory. Nothing is seen of it before `finish`. */
export class StreamWriter {
  readonly #options: StreamWriterOptions
  readonly #media: FileHandle
  readonly #pages: FileHandle
  readonly #streamId: Buffer
  readonly #cipher: ContentCipher | undefined
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes)
  #bufferedBytes = 0
  /** Of the page in the making; a full one is held back until it is known not to be the last. */
  #records: ChunkRecord[] = []
  /** As stored. */
  #init: Uint8Array = noInit
  #chunkCount = 0
  #chunkBytes = 0
  #pageOffset = 0
  #isOver = false

  private constructor(options: StreamWriterOptions, media: FileHandle, pages: FileHandle) {
    this.#options = options
    this.#media = media
    this.#pages = pages
    this.#streamId = streamIdOf(options.signer.publicKey, options.name)
    const { contentKey, epoch } = options
    this.#cipher = contentKey && new ContentCipher(contentKey, { streamId: this.#streamId, epoch })
  }

  static async start(options: StreamWriterOptions): Promise<StreamWriter> {
    const media = await open(join(options.folder, mediaInTheMaking), 'wx')
    return new StreamWriter(options, media, await open(streamFiles(options.folder, options.name, '').pages, 'wx'))
  }

  get chunkCount(): number {
    return this.#chunkCount
  }

  /** Bytes of chunks as stored so far, without the init segment. */
  get chunkBytes(): number {
    return this.#chunkBytes
  }

  /** Writes the init segment, before the first chunk. */
  async setInit(init: Uint8Array): Promise<void> {
    if (init.length > limits.descriptorBytes / 2)
      throw new Failure('over-limit', `an init segment of ${init.length} bytes is too large`)
    this.#init = this.#cipher ? this.#cipher.encryptInit(init) : Uint8Array.from(init)
    this.#pageOffset = this.#init.length
    await this.#write(this.#init)
  }

  /** Takes the next chunk. Its memory may be used again once the promise is settled. */
  async append(content: Uint8Array, { start, times }: { start: ChunkStart; times: TrackTimes[] }): Promise<void> {
    if (this.#cipher && this.#init === noInit) await this.setInit(noInit)
    if (this.#records.length === limits.pageRecords) await this.#writePage(false)
    const { bytes, nonce } = this.#cipher?.encryptChunk(this.#chunkCount, content) ?? {
      bytes: content,
      nonce: undefined,
    }
    // Field by field: what else the caller's object holds must not stay in memory until the page is full.
    this.#records.push({ sizeBytes: bytes.length, digest: digestOf(bytes), start, times, nonce })
    this.#chunkCount++
    this.#chunkBytes += bytes.length
    await this.#write(bytes)
  }

  /** Signs and publishes. Throws `exists` when the name was taken meanwhile; the work is undone then. */
  async finish(ending: Ending): Promise<Descriptor> {
    const { folder, name, epoch, signer, publish } = this.#options
    try {
      if (this.#chunkCount === 0) throw new Failure('media', 'the input is empty; there is nothing to publish')
      await this.#flush()
      await this.#writePage(true)
      const descriptor = Descriptor.make(
        {
          name,
          epoch,
          kind: 'on-demand',
          ...ending,
          init: this.#init,
          encrypted: this.#cipher ? true : undefined,
          chunkCount: this.#chunkCount,
          chunkBytes: this.#chunkBytes,
          pageRecords: limits.pageRecords,
        },
        signer,
      )
      const files = streamFiles(folder, name, ending.ending)
      await writeFile(files.descriptor, encodeSigned(descriptor.signed))
      await rename(join(folder, mediaInTheMaking), files.media)
      // What was published must survive a power cut; a name that points at nothing would not.
      await Promise.all([this.#media.datasync(), this.#pages.datasync()])
      await this.#closeFiles()
      await publish()
      return descriptor
    } catch (error) {
      await this.abort()
      throw diskFailure(error)
    }
  }

  /** Undoes all; idempotent. */
  async abort(): Promise<void> {
    await this.#closeFiles()
    await rm(this.#options.folder, { recursive: true, force: true })
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#bufferedBytes + bytes.length > bufferBytes) await this.#flush()
    if (bytes.length > bufferBytes) return this.#writeMedia(bytes)
    this.#buffer.set(bytes, this.#bufferedBytes)
    this.#bufferedBytes += bytes.length
  }

  async #flush(): Promise<void> {
    const buffered = this.#buffer.subarray(0, this.#bufferedBytes)
    this.#bufferedBytes = 0
    await this.#writeMedia(buffered)
  }

  async #writeMedia(bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(this.#media, bytes)
    } catch (error) {
      throw diskFailure(error)
    }
  }

  async #writePage(last: boolean): Promise<void> {
    const records = this.#records
    this.#records = []
    const first = this.#chunkCount - records.length
    const head = { streamId: this.#streamId, epoch: this.#options.epoch, first, offset: this.#pageOffset, last }
    const page = Page.make(head, records, this.#options.signer)
    this.#pageOffset = page.offsetOf(page.first) + page.bytesOf(page.first, page.count)
    await writeAll(this.#pages, encodePage(page.signed))
  }

  async #closeFiles(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    await this.#media.close()
    await this.#pages.close()
  }
}

/** Name of the media file until its ending is known. */
const mediaInTheMaking = 'media'

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done, bytes.length - done)).bytesWritten
}

function diskFailure(error: unknown): unknown {
  const errno = errnoOf(error)
  if (errno !== 'ENOSPC' && errno !== 'EDQUOT') return error
  return new Failure('disk-full', 'the disk of the video database is full; nothing was published', { cause: error })
}
