import { readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { type Clock, pause } from '../base/clock.ts'
import { errnoOf, Failure, isFailure, toFailure } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { nameFrom } from '../stream/names.ts'
import { type FileLook, looksAlike, WatchedFolder } from './watched-folder.ts'

export interface WatchOptions {
  folder: string
  clock: Clock
  log: Logger
  signal: AbortSignal
  /** Publishes the file at `path`; calls `checkSame` once it has read all of it. */
  publishFile(path: string, name: string, checkSame: () => Promise<void>): Promise<void>
}

/** Between two looks at the folder, ms. */
const lookMs = 500
/** Until a file is tried again that could not be published, ms. */
const retryMs = 5000

/**
 * Keeps the files of a folder published until the signal aborts: those that begin with a dot and folders are passed over.
 * Looks instead of being told: that works on every file system, also those of other machines.
 */
export async function watchFolder(options: WatchOptions): Promise<void> {
  const { folder, clock, log, signal } = options
  const watched = new WatchedFolder()
  const names = new Names(log)
  const told = new Map<string, string>()
  let wasReadable = true
  await lookAt(folder)
  while (!signal.aborted) {
    try {
      const looks = names.unique(await lookAt(folder))
      wasReadable = true
      for (const look of watched.look(looks, clock.now())) await publishOne(options, watched, told, look)
    } catch (error) {
      if (signal.aborted) return
      if (wasReadable) log.warn(toFailure(error).message)
      wasReadable = false
    }
    await pause(clock, lookMs, signal).catch(() => {})
  }
}

async function publishOne(
  { folder, clock, log, signal, publishFile }: WatchOptions,
  watched: WatchedFolder,
  /** What was last said of each file: while it cannot be published it is tried often, and said once. */
  told: Map<string, string>,
  look: FileLook,
): Promise<void> {
  const path = join(folder, look.file)
  const checkSame = async () => {
    const now = await lookAtFile(folder, look.file)
    if (!now || !looksAlike(now, look))
      throw new Failure('stream-changed', 'it changed while it was cut; it is published when it no longer grows')
  }
  try {
    await publishFile(path, streamName(look.file), checkSame)
    watched.done(look)
    told.delete(look.file)
  } catch (error) {
    signal.throwIfAborted()
    const failure = toFailure(error)
    if (told.get(look.file) !== failure.message) log.warn(`${look.file}: ${failure.message}`)
    told.set(look.file, failure.message)
    // Until the file is another one, trying again would end as this did.
    if (isFailure(failure, 'media', 'bad-argument', 'key-changed')) watched.done(look)
    else watched.later(look, clock.now() + retryMs)
  }
}

/** Two files whose names differ only in what a stream's name cannot hold: the first one in order has the name. */
class Names {
  readonly #log: Logger
  readonly #told = new Set<string>()

  constructor(log: Logger) {
    this.#log = log
  }

  unique(looks: FileLook[]): FileLook[] {
    const owners = new Map<string, string>()
    return looks.filter(({ file }) => {
      const name = streamName(file)
      const owner = owners.get(name)
      if (owner === undefined) owners.set(name, file)
      else if (!this.#told.has(file)) {
        this.#told.add(file)
        this.#log.warn(`${file} is not published: ${owner} has the name ${name}; rename one of them`)
      }
      return owner === undefined
    })
  }
}

function streamName(file: string): string {
  return nameFrom(file.slice(0, file.length - extname(file).length), 'stream')
}

/** The files of a folder, sorted by name. Throws `directory-unusable`. */
async function lookAt(folder: string): Promise<FileLook[]> {
  const files = await readdir(folder).catch((cause) => {
    throw new Failure('directory-unusable', `cannot read the folder ${folder}: ${errnoOf(cause)}`, { cause })
  })
  const looks = await Promise.all(files.sort().map((file) => lookAtFile(folder, file)))
  return looks.filter((look) => look !== undefined)
}

async function lookAtFile(folder: string, file: string): Promise<FileLook | undefined> {
  if (file.startsWith('.')) return undefined
  // What is gone by now, or may not be read, is not there.
  const found = await stat(join(folder, file)).catch(() => undefined)
  return found?.isFile() ? { file, sizeBytes: found.size, modifiedMs: found.mtimeMs } : undefined
}
