import { fork } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ClassicLevel } from 'classic-level'
import { errnoOf, Failure } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'

const markerName = 'peerstreamer-store.json'
const format = 1
/** A repair that takes longer is given up, ms: a store opens within 5 s. */
const repairMs = 3000

/** LevelDB's cache of blocks: the index is read once, when the store is opened. LevelDB would take 8 MiB. */
const blockCacheBytes = 1024 * 1024

export type Index = ClassicLevel<string, Buffer>

/** Makes sure that `directory` is a chunk store of ours, made now if it is missing or empty. Throws `directory-unusable`. */
export async function claimDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    const why =
      errnoOf(cause) === 'EEXIST' || errnoOf(cause) === 'ENOTDIR' ? 'is not a directory' : 'cannot be written to'
    throw new Failure('directory-unusable', `${directory} ${why}; choose another --chunkdirectory`, { cause })
  }
  switch (await contentOf(directory)) {
    case 'store':
      break
    case 'foreign':
      throw new Failure(
        'directory-unusable',
        `${directory} is not empty and is no chunk store; choose an empty directory`,
      )
    case 'other-version':
      throw new Failure(
        'directory-unusable',
        `${directory} is a chunk store of another version of peerstreamer; choose another directory`,
      )
    case 'empty':
      await writeFile(join(directory, markerName), `${JSON.stringify({ format })}\n`).catch((cause) => {
        throw new Failure('directory-unusable', `${directory} cannot be written to (${errnoOf(cause) ?? cause})`, {
          cause,
        })
      })
  }
  await mkdir(join(directory, 'slabs'), { recursive: true })
}

/** `free` and `in-use` are stores of ours; in one of `no-rights` the index belongs to another user. */
export type StoreState = 'empty' | 'foreign' | 'other-version' | 'free' | 'in-use' | 'no-rights'

/** What a directory is that can be listed, without a change to it. Not for a process that has this store open itself. */
export async function lookAtStore(directory: string): Promise<StoreState> {
  const content = await contentOf(directory)
  if (content !== 'store') return content
  const lock = resolve(directory, 'index', 'LOCK')
  try {
    await access(lock, constants.R_OK | constants.W_OK)
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? 'free' : 'no-rights'
  }
  return (await isLocked(lock)) ? 'in-use' : 'free'
}

/**
 * Whether another process holds a lock of LevelDB. Opening the index would tell, and move its log and rewrite its manifest
 * as well; so an empty database elsewhere is opened whose lock is a link to this one, which is held for that moment.
 */
async function isLocked(lock: string): Promise<boolean> {
  const elsewhere = await mkdtemp(join(tmpdir(), 'peerstreamer-lock-'))
  try {
    await symlink(lock, join(elsewhere, 'LOCK'))
    await (await open(elsewhere)).close()
    return false
  } catch (error) {
    if (causeCode(error) === 'LEVEL_LOCKED') return true
    throw error
  } finally {
    await rm(elsewhere, { recursive: true, force: true })
  }
}

/**
 * Opens the LevelDB index. A damaged one is repaired once; when that does not help it is set aside and an empty one made. Throws
 * `directory-unusable` when the disk fails, which is no damage, `store-locked` or `store-broken`.
 */
export async function openIndex(directory: string, log: Logger): Promise<Index> {
  const location = join(directory, 'index')
  try {
    return await open(location)
  } catch (error) {
    if (causeCode(error) === 'LEVEL_LOCKED') {
      throw new Failure(
        'store-locked',
        `${directory} is in use by another process; every relay needs a directory of its own`,
        { cause: error },
      )
    }
    throwIfDiskFails(directory, error)
    log.warn(`the index in ${location} is damaged`, { error: String(error) })
  }
  await repairIndex(directory, log)
  try {
    return await open(location)
  } catch (error) {
    throwIfDiskFails(directory, error)
    await setIndexAside(directory, log)
  }
  try {
    return await open(location)
  } catch (cause) {
    throw new Failure(
      'store-broken',
      `cannot open the chunk store in ${directory}; remove the directory and start again`,
      { cause },
    )
  }
}

async function contentOf(directory: string): Promise<'empty' | 'foreign' | 'other-version' | 'store'> {
  const text = await readFile(join(directory, markerName), 'utf8').catch(() => undefined)
  if (text === undefined) return (await readdir(directory)).length > 0 ? 'foreign' : 'empty'
  return formatOf(text) === format ? 'store' : 'other-version'
}

/** Lets LevelDB make what it can of a damaged index that is not open, in a process of its own (index-repairer.ts). */
export async function repairIndex(directory: string, log: Logger): Promise<void> {
  const location = join(directory, 'index')
  log.warn(`repairing the index in ${location}`)
  const repairer = new URL(`index-repairer${extname(import.meta.url)}`, import.meta.url)
  const child = fork(fileURLToPath(repairer), [location], { stdio: 'ignore', timeout: repairMs })
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    if (code !== 0) log.warn(`that failed (${signal ?? `exit code ${code}`})`)
  } catch (error) {
    log.warn(`that could not be begun: ${String(error)}`)
  }
}

/** The store begins empty. */
export async function setIndexAside(directory: string, log: Logger): Promise<void> {
  const location = join(directory, 'index')
  log.error(`the index in ${location} cannot be repaired; it is set aside and the store begins empty`)
  const aside = `${location}.broken`
  await rm(aside, { recursive: true, force: true })
  await rename(location, aside)
}

async function open(location: string): Promise<Index> {
  const index: Index = new ClassicLevel(location, {
    keyEncoding: 'utf8',
    valueEncoding: 'buffer',
    cacheSize: blockCacheBytes,
  })
  await index.open()
  return index
}

/** What the system says of a disk that fails, as LevelDB passes it on in its messages (strerror of EIO, EROFS, ENOSPC, EDQUOT, EMFILE, EACCES). */
const diskFailures =
  /Input\/output error|Read-only file system|No space left on device|Disk quota exceeded|Too many open files|Permission denied/

/** A disk that fails is no damage: nothing is to be repaired. Throws `directory-unusable`. */
export function throwIfDiskFails(directory: string, cause: unknown): void {
  const said = diskFailures.exec(cause instanceof Error ? `${cause.message} ${String(cause.cause)}` : '')
  if (said) throw new Failure('directory-unusable', `the index in ${directory} cannot be opened: ${said[0]}`, { cause })
}

function causeCode(error: unknown): string | undefined {
  return error instanceof Error ? (errnoOf(error.cause) ?? errnoOf(error)) : undefined
}

function formatOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { format?: unknown }).format
  } catch {
    return undefined
  }
}
