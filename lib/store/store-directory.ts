import { access, constants, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { errnoOf, Failure } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'

const markerName = 'peerstreamer-store.json'
const format = 1

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
  const marker = join(directory, markerName)
  const text = await readFile(marker, 'utf8').catch(() => undefined)
  if (text === undefined) {
    if ((await readdir(directory)).length > 0) {
      throw new Failure(
        'directory-unusable',
        `${directory} is not empty and is no chunk store; choose an empty directory`,
      )
    }
    await writeFile(marker, `${JSON.stringify({ format })}\n`).catch((cause) => {
      throw new Failure('directory-unusable', `${directory} cannot be written to (${errnoOf(cause) ?? cause})`, {
        cause,
      })
    })
  } else if (formatOf(text) !== format) {
    throw new Failure(
      'directory-unusable',
      `${directory} is a chunk store of another version of peerstreamer; choose another directory`,
    )
  }
  await mkdir(join(directory, 'slabs'), { recursive: true })
}

/** Opens the LevelDB index. A damaged one is repaired once; when that does not help it is set aside and an empty one made. */
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
    log.warn(`the index in ${location} is damaged; repairing it`, { error: String(error) })
  }
  try {
    await ClassicLevel.repair(location)
    return await open(location)
  } catch (error) {
    log.error(`the index in ${location} cannot be repaired; it is set aside and the store begins empty`, {
      error: String(error),
    })
  }
  const aside = `${location}.broken`
  await rm(aside, { recursive: true, force: true })
  await rename(location, aside)
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

async function open(location: string): Promise<Index> {
  const index: Index = new ClassicLevel(location, { keyEncoding: 'utf8', valueEncoding: 'buffer' })
  await index.open()
  return index
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
