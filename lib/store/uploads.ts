import { mkdir, readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { errnoOf, Failure, toFailure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import type { Logger } from '../base/log.ts'
import { formatBytes } from '../base/units.ts'
import { Descriptor } from '../stream/descriptor.ts'
import type { Signed } from '../stream/signed.ts'
import { Upload, uploadIdOf } from './upload.ts'
import type { VideoDatabase } from './video-database.ts'

export interface UploadsOptions {
  database: VideoDatabase
  clock: Clock
  log: Logger
  /** Bytes left free on the disk; default `limits.freeSpaceBytes`. */
  freeSpaceBytes?: number
  /** Media bytes of one upload at most, 0 for what the disk has room for; default `limits.uploadBytes`. */
  uploadBytes?: number
}

/** How far an upload is; `done` when just this content is published already. */
export interface UploadState {
  upload: string
  pages: number
  chunks: number
  done: boolean
}

/** Not a stream's name, since it begins with a dot. */
const hidden = '.uploads'
/** So many uploads that were given up are remembered. */
const rememberedUploads = 1000

/**
 * What publishers hand over to a source, until it is whole: each upload in a hidden folder of the video database, named
 * by stream and content, so that the same content goes on after a broken connection, a killed publisher or a restart.
 * A name belongs to the key that it was first published with. Of unfinished uploads of one stream the newest wins.
 */
export class Uploads implements Closeable {
  readonly #options: UploadsOptions
  readonly #folder: string
  readonly #open = new Map<string, Upload>()
  /** Uploads that another one of the same stream ended, and why; the newest last. Their publishers must not begin again by themselves. */
  readonly #givenUp = new Map<string, Failure>()
  /** Uploads that are being opened. */
  #opening = 0
  /** What is done to the uploads of one stream, one after another; by the prefix of their folders. */
  readonly #turns = new Map<string, Promise<unknown>>()
  /** Publishing happens one after another, so that a name that was free at the check is free at the rename. */
  #publishing: Promise<unknown> = Promise.resolve()
  #cancelSweep = () => {}
  #tidying: Promise<void> | undefined
  #isClosed = false

  private constructor(options: UploadsOptions) {
    this.#options = options
    this.#folder = join(options.database.directory, hidden)
  }

  /** Also mends what a source left that was killed while it published. */
  static async open(options: UploadsOptions): Promise<Uploads> {
    const uploads = new Uploads(options)
    await uploads.#tidy()
    uploads.#sweepLater()
    return uploads
  }

  /** The epoch that the next upload of `name` must have at least. Throws `exists` or `key-changed` when it would be refused. */
  async check(name: string, key: Uint8Array, { replace }: { replace: boolean }): Promise<{ epoch: number }> {
    const published = await this.#options.database.find(name)
    if (!published) return { epoch: 1 }
    const { publicKey, epoch } = published.descriptor
    if (!publicKey.equals(key)) throw foreignKey(name, publicKey, Buffer.from(key))
    if (replace) return { epoch: epoch + 1 }
    throw new Failure(
      'exists',
      `a stream ${name} is published already; choose another name with --name, or publish it anew with --replace`,
    )
  }

  /** Begins an upload, or goes on with the one of the same content. `content`: see `contentDigest`. */
  async begin(signed: Signed, content: Uint8Array, { replace }: { replace: boolean }): Promise<UploadState> {
    const descriptor = checkDescriptor(Descriptor.open(signed))
    const id = uploadIdOf(descriptor, content)
    return this.#inTurn(streamPrefix(descriptor), async () => {
      if (await this.#isPublished(descriptor, content))
        return { upload: id, pages: pagesOf(descriptor), chunks: descriptor.chunkCount, done: true }
      await this.#admit(descriptor, replace)
      this.#opening++
      const upload = await this.#openOne(id, descriptor).finally(() => this.#opening--)
      upload.replace = replace
      return { upload: id, pages: upload.pages, chunks: upload.chunks, done: false }
    })
  }

  /** Throws `not-found` when the upload was not begun since the last start, or was put aside; `stream-changed` when another took its place. */
  get(id: string): Upload {
    const upload = this.#open.get(id)
    const reason = this.#givenUp.get(id)
    if (!upload && reason) throw reason
    if (!upload)
      throw new Failure('not-found', 'no such upload is under way; begin it again with publish, and it goes on')
    upload.usedAt = this.#options.clock.now()
    return upload
  }

  /** Publishes an upload that is whole. */
  async end(id: string): Promise<Descriptor> {
    const upload = this.get(id)
    await this.#inTurn(streamPrefix(upload.descriptor), () => {
      const published = this.#publishing.catch(() => {}).then(() => this.#publish(upload))
      this.#publishing = published
      return published
    })
    return upload.descriptor
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelSweep()
    await Promise.allSettled([this.#tidying, ...this.#turns.values()])
    for (const upload of [...this.#open.values()]) await this.#putAside(upload)
  }

  async #publish(upload: Upload): Promise<void> {
    const { database, log } = this.#options
    const { descriptor, replace } = upload
    await upload.finish()
    await this.#admit(descriptor, replace)
    await this.#putAside(upload)
    await database.adopt(this.#folderOf(upload), descriptor.name, { replace })
    log.info(
      `${descriptor.name} was published, ${formatBytes(descriptor.mediaBytes)} in ${descriptor.chunkCount} chunks`,
    )
  }

  async #openOne(id: string, descriptor: Descriptor): Promise<Upload> {
    const known = this.#open.get(id)
    if (known) return known
    const { clock } = this.#options
    if (this.#isClosed) throw new Failure('closed', 'the node is closing')
    await this.#removeOthers(id, descriptor)
    if (this.#open.size + this.#opening > limits.uploadsAtOnce)
      throw new Failure('over-limit', `${limits.uploadsAtOnce} uploads are under way here; try again later`)
    this.#checkSize(descriptor)
    await this.#makeFolder()
    const upload = await Upload.open(this.#folderOf({ id, descriptor }), id, descriptor)
    upload.usedAt = clock.now()
    this.#open.set(id, upload)
    this.#givenUp.delete(id)
    try {
      await this.#checkRoom(upload)
    } catch (error) {
      await this.#putAside(upload)
      throw error
    }
    return upload
  }

  async #admit({ name, publicKey, epoch }: Descriptor, replace: boolean): Promise<void> {
    const { epoch: least } = await this.check(name, publicKey, { replace })
    if (epoch >= least) return
    throw new Failure(
      'stream-changed',
      `${name} was published with epoch ${least - 1} meanwhile, this upload has ${epoch}; publish it again`,
    )
  }

  async #isPublished(descriptor: Descriptor, content: Uint8Array): Promise<boolean> {
    const published = await this.#options.database.find(descriptor.name)
    if (!published || !Buffer.from(published.descriptor.signed.body).equals(descriptor.signed.body)) return false
    return (await published.contentDigest()).equals(content)
  }

  #checkSize({ name, mediaBytes }: Descriptor): void {
    const { uploadBytes = limits.uploadBytes } = this.#options
    if (uploadBytes === 0 || mediaBytes <= uploadBytes) return
    throw new Failure(
      'over-limit',
      `${name} has ${mediaBytes} bytes; this source takes uploads of ${uploadBytes} at most`,
    )
  }

  /** What all uploads under way still need must be free. */
  async #checkRoom({ descriptor }: Upload): Promise<void> {
    const { freeSpaceBytes = limits.freeSpaceBytes } = this.#options
    const { bavail, bsize } = await statfs(this.#folder)
    const freeBytes = Math.max(0, bavail * bsize - freeSpaceBytes)
    const neededBytes = [...this.#open.values()].reduce((sum, one) => sum + one.missingBytes, 0)
    if (neededBytes <= freeBytes) return
    throw new Failure(
      'disk-full',
      `the source has room for ${formatBytes(freeBytes)}, but ${descriptor.name} and other uploads under way need ${formatBytes(neededBytes)}; make room there`,
    )
  }

  async #makeFolder(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true })
    } catch (cause) {
      const told = `the source cannot write to its video database (${errnoOf(cause)})`
      throw new Failure('directory-unusable', told, { cause })
    }
  }

  /** Unfinished uploads of the same stream with other content. */
  async #removeOthers(id: string, descriptor: Descriptor): Promise<void> {
    const reason = new Failure('stream-changed', `another upload of ${descriptor.name} began; this one was given up`)
    const stream = streamPrefix(descriptor)
    for (const upload of [...this.#open.values()])
      if (upload.id !== id && streamPrefix(upload.descriptor) === stream) await this.#giveUp(upload, reason)
    for (const entry of await this.#entries())
      if (entry.startsWith(stream) && entry !== `${stream}${id}`) await this.#remove(entry)
  }

  /** Removes what nothing came for since long; closes what nothing came for lately. */
  async #tidy(): Promise<void> {
    const { clock, log, database } = this.#options
    for (const upload of [...this.#open.values()])
      if (clock.now() - upload.usedAt >= limits.uploadIdleMs) await this.#putAside(upload)
    try {
      for (const entry of await this.#entries()) await this.#inTurn(prefixOf(entry), () => this.#removeOld(entry))
      await database.removeLeftovers()
    } catch (error) {
      log.warn(`cannot remove what unfinished uploads left: ${toFailure(error).message}`)
    }
  }

  async #removeOld(entry: string): Promise<void> {
    if ([...this.#open.values()].some((upload) => this.#folderOf(upload) === join(this.#folder, entry))) return
    const writtenMs = await lastWriteMs(join(this.#folder, entry))
    if (this.#options.clock.wallTimeMs() - writtenMs > limits.uploadKeptMs) await this.#remove(entry)
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#options.clock.after(limits.uploadIdleMs, () => {
      this.#tidying = this.#tidy().finally(() => {
        if (!this.#isClosed) this.#sweepLater()
      })
    })
  }

  async #putAside(upload: Upload, reason?: Failure): Promise<void> {
    if (this.#open.get(upload.id) === upload) this.#open.delete(upload.id)
    await upload.close(reason)
  }

  async #giveUp(upload: Upload, reason: Failure): Promise<void> {
    this.#givenUp.set(upload.id, reason)
    for (const oldest of this.#givenUp.keys()) {
      if (this.#givenUp.size <= rememberedUploads) break
      this.#givenUp.delete(oldest)
    }
    await this.#putAside(upload, reason)
  }

  #folderOf({ id, descriptor }: Pick<Upload, 'id' | 'descriptor'>): string {
    return join(this.#folder, `${streamPrefix(descriptor)}${id}`)
  }

  async #entries(): Promise<string[]> {
    try {
      return await readdir(this.#folder)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    }
  }

  #inTurn<T>(prefix: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(prefix) ?? Promise.resolve()).catch(() => {}).then(work)
    this.#turns.set(prefix, turn)
    const isOver = () => {
      if (this.#turns.get(prefix) === turn) this.#turns.delete(prefix)
    }
    turn.then(isOver, isOver)
    return turn
  }

  #remove(entry: string): Promise<void> {
    return rm(join(this.#folder, entry), { recursive: true, force: true })
  }
}

/** Uploads of one stream have names that begin alike. */
function streamPrefix({ streamId }: Descriptor): string {
  return `${streamId.toString('hex')}.`
}

function prefixOf(entry: string): string {
  return entry.slice(0, entry.indexOf('.') + 1)
}

function pagesOf({ chunkCount, fields }: Descriptor): number {
  return Math.ceil(chunkCount / fields.pageRecords)
}

function checkDescriptor(descriptor: Descriptor): Descriptor {
  const { name, fields, chunkCount } = descriptor
  const refused = (why: string) => new Failure('bad-argument', `${name} cannot be published: ${why}`)
  if (fields.kind !== 'on-demand') throw refused('it is live, and only a stream that has ended can be handed over')
  if (chunkCount === 0) throw refused('it has no chunks')
  // The database has files of these endings beside the media file.
  if (['descriptor', 'pages'].includes(fields.ending)) throw refused(`its media file may not end in .${fields.ending}`)
  return descriptor
}

function foreignKey(name: string, pinned: Buffer, got: Buffer): Failure {
  const [one, other] = [pinned.toString('base64url'), got.toString('base64url')]
  return new Failure(
    'key-changed',
    `${name} is published with the key ${one}, but this upload is signed by ${other}; publish with the signing key of the first (--signingkey), choose another --name, or remove ${name} from the video database of the source`,
  )
}

/** When anything in a folder was last written, ms since 1970; never when it is gone. */
async function lastWriteMs(folder: string): Promise<number> {
  try {
    const names = await readdir(folder)
    const times = await Promise.all(['.', ...names].map(async (name) => (await stat(join(folder, name))).mtimeMs))
    return Math.max(...times)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return Number.POSITIVE_INFINITY
    throw error
  }
}
