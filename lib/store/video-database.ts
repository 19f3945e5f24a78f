import { access, constants, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { errnoOf, Failure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { ContentKey } from '../stream/content.ts'
import { parseName } from '../stream/names.ts'
import type { Signer } from '../stream/signing.ts'
import { isRunning } from './is-running.ts'
import { PublishedStream, streamFiles } from './published-stream.ts'
import { openSigningKey } from './signing-key.ts'
import { StreamWriter } from './stream-writer.ts'

const keyFile = '.signing.key'
const workPrefix = '.publishing-'

export interface DatabaseOptions {
  /** Whether the directory is made when it is missing. */
  create: boolean
  /** Signs all streams in place of the database's own key. */
  signer?: Signer
  /** Epoch of a stream whose name is not published here yet, default 1. */
  firstEpoch?: number
}

/**
 * The streams of a source: a folder of folders. In `NAME/` lie the media file `NAME.ENDING` (init and chunks one after
 * another, so any player opens it; of an encrypted stream the same bytes as relays get, which no player opens),
 * `NAME.descriptor` and `NAME.pages`. Folders are made elsewhere in the database and renamed, so one appears whole or not
 * at all; what begins with a dot is not a stream.
 */
export class VideoDatabase implements Closeable {
  readonly directory: string
  readonly #streams = new Map<string, { stream: PublishedStream; version: string }>()
  readonly #opening = new SingleFlight<string, PublishedStream | undefined>()
  readonly #firstEpoch: number
  #signer: Signer | undefined

  private constructor(directory: string, { signer, firstEpoch = 1 }: DatabaseOptions) {
    this.directory = directory
    this.#signer = signer
    this.#firstEpoch = firstEpoch
  }

  /** Throws `directory-unusable` when the directory is missing (and `create` is false) or cannot be read. */
  static async open(directory: string, options: DatabaseOptions): Promise<VideoDatabase> {
    const path = resolve(directory)
    try {
      if (options.create) await mkdir(path).catch((error) => ignore(error, 'EEXIST'))
      if (!(await stat(path)).isDirectory())
        throw new Failure('directory-unusable', `${directory} is a file, expected a directory`)
      await access(
        path,
        options.create ? constants.R_OK | constants.W_OK | constants.X_OK : constants.R_OK | constants.X_OK,
      )
    } catch (cause) {
      if (cause instanceof Failure) throw cause
      const why = errnoOf(cause) === 'ENOENT' ? 'does not exist' : `cannot be ${options.create ? 'written to' : 'read'}`
      const hint = options.create
        ? 'make it, or name another with -d'
        : 'publish a film into it first (split_video -d), or name another'
      throw new Failure('directory-unusable', `the video database ${directory} ${why}; ${hint}`, { cause })
    }
    return new VideoDatabase(path, options)
  }

  /** The key that signs the streams made here; made at first use, readable by its owner alone. */
  async signer(): Promise<Signer> {
    this.#signer ??= await openSigningKey(join(this.directory, keyFile))
    return this.#signer
  }

  /** Names of published streams, sorted. */
  async names(): Promise<string[]> {
    const entries = await readdir(this.directory, { withFileTypes: true })
    const names: string[] = []
    for (const entry of entries) {
      if (!entry.isDirectory() || !isName(entry.name)) continue
      const { descriptor } = streamFiles(join(this.directory, entry.name), entry.name, '')
      if (await exists(descriptor)) names.push(entry.name)
    }
    return names.sort()
  }

  /** The stream as it is published now, or undefined. One look at the folder tells whether it was published anew. */
  async find(name: string): Promise<PublishedStream | undefined> {
    if (!isName(name)) return undefined
    const folder = join(this.directory, name)
    const version = await versionOf(streamFiles(folder, name, '').descriptor)
    const known = this.#streams.get(name)
    if (known && known.version === version) return known.stream
    if (version === undefined) {
      this.#streams.delete(name)
      await known?.stream.close()
      return undefined
    }
    return this.#opening.run(`${name}/${version}`, async () => {
      const stream = await PublishedStream.open(folder, name)
      this.#streams.set(name, { stream, version })
      await known?.stream.close()
      return stream
    })
  }

  /** Begins to publish `name`, encrypted under `contentKey`. Throws `exists` when it is taken and `replace` is not given. */
  async create(name: string, options: { replace: boolean; contentKey?: ContentKey }): Promise<StreamWriter> {
    parseName(name)
    const before = await this.find(name)
    if (!options.replace && (before || (await exists(join(this.directory, name))))) throw nameTaken(name)
    await this.removeLeftovers()
    const folder = join(this.directory, `${workPrefix}${process.pid}-${name}`)
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder)
    return StreamWriter.start({
      folder,
      name,
      epoch: before ? before.descriptor.epoch + 1 : this.#firstEpoch,
      signer: await this.signer(),
      contentKey: options.contentKey,
      publish: () => this.adopt(folder, name, options),
    })
  }

  /** Publishes `folder`, which holds the files of the stream `name`, by renaming it. Throws `exists` as `create` does. */
  async adopt(folder: string, name: string, { replace }: { replace: boolean }): Promise<void> {
    const target = join(this.directory, name)
    if (!(await exists(target))) return rename(folder, target)
    if (!replace) throw nameTaken(name)
    const old = join(this.directory, `${workPrefix}${process.pid}-${name}.old`)
    await rm(old, { recursive: true, force: true })
    await rename(target, old)
    try {
      await rename(folder, target)
    } catch (error) {
      await rename(old, target)
      throw error
    }
    await rm(old, { recursive: true, force: true })
  }

  async close(): Promise<void> {
    for (const { stream } of this.#streams.values()) await stream.close()
    this.#streams.clear()
  }

  /** Removes what publishers left that were killed. */
  async removeLeftovers(): Promise<void> {
    for (const entry of await readdir(this.directory)) {
      const owner = entry.startsWith(workPrefix) ? Number.parseInt(entry.slice(workPrefix.length), 10) : Number.NaN
      if (Number.isNaN(owner) || isRunning(owner)) continue
      const folder = join(this.directory, entry)
      const name = entry.slice(`${workPrefix}${owner}-`.length).replace(/\.old$/, '')
      // Killed between the two renames of a replacement: the old stream is still the published one.
      if (entry.endsWith('.old') && isName(name) && !(await exists(join(this.directory, name))))
        await rename(folder, join(this.directory, name))
      else await rm(folder, { recursive: true, force: true })
    }
  }
}

/** Where the key lies that signs the streams of a database. */
export function signingKeyFile(directory: string): string {
  return join(directory, keyFile)
}

function nameTaken(name: string): Failure {
  return new Failure(
    'exists',
    `a stream ${name} is published already; choose another name with -f, or publish it anew with --replace`,
  )
}

function isName(text: string): boolean {
  try {
    parseName(text)
    return true
  } catch {
    return false
  }
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { ino, mtimeMs, size } = await stat(path)
    return `${ino}/${mtimeMs}/${size}`
  } catch {
    return undefined
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function ignore(error: unknown, code: string): void {
  if (errnoOf(error) !== code) throw error
}
