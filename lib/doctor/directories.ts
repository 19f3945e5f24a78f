import { access, constants, readdir, stat, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'
import { lookAtStore, type StoreState } from '../store/store-directory.ts'
import { VideoDatabase } from '../store/video-database.ts'
import { type Finding, fail, ok, shorten, warn } from './finding.ts'
import { checkSigningKey } from './key-files.ts'

/** Names shown of what a directory holds. */
const mostShown = 5

/** A directory that is missing is judged by the nearest one above it, in which it would be made. */
export type DirectorySeen =
  | { state: 'out-of-reach' }
  | { state: 'not-a-directory' }
  | ({ state: 'missing' } & Place)
  | ({ state: 'there' } & Place)

interface Place {
  /** May be listed and entered. */
  isReadable: boolean
  isWritable: boolean
  /** Bytes that this user may still write there. */
  freeBytes: number
}

export async function lookAtDirectory(path: string): Promise<DirectorySeen> {
  let nearest = resolve(path)
  for (;;) {
    try {
      if (!(await stat(nearest)).isDirectory()) return { state: 'not-a-directory' }
      break
    } catch (error) {
      if (errnoOf(error) === 'ENOTDIR') return { state: 'not-a-directory' }
      if (errnoOf(error) !== 'ENOENT' || nearest === dirname(nearest)) return { state: 'out-of-reach' }
      nearest = dirname(nearest)
    }
  }
  const { bavail, bsize } = await statfs(nearest)
  return {
    state: nearest === resolve(path) ? 'there' : 'missing',
    isReadable: await may(nearest, constants.R_OK | constants.X_OK),
    isWritable: await may(nearest, constants.W_OK | constants.X_OK),
    freeBytes: bavail * bsize,
  }
}

function may(path: string, rights: number): Promise<boolean> {
  return access(path, rights).then(
    () => true,
    () => false,
  )
}

/** `floorBytes`: what a store leaves free on its disk. */
export async function checkChunkDirectory(path: string, floorBytes: number): Promise<Finding[]> {
  const seen = await lookAtDirectory(path)
  const canOpen = seen.state === 'there' && seen.isReadable && seen.isWritable
  const store = canOpen ? await lookAtStore(path).catch(() => 'unknown' as const) : 'empty'
  return [judgeChunkDirectory(path, seen, store), ...judgeSpace('chunkdirectory-space', path, seen, floorBytes)]
}

/** `unknown`: the store could not be looked at. */
export function judgeChunkDirectory(path: string, seen: DirectorySeen, store: StoreState | 'unknown'): Finding {
  const check = 'chunkdirectory'
  const another = 'choose another --chunkdirectory'
  if (seen.state === 'not-a-directory') return fail(check, `${path} is not a directory`, another)
  if (seen.state === 'out-of-reach') return fail(check, `${path} cannot be reached`, another)
  if (seen.state === 'missing') {
    return seen.isWritable
      ? ok(check, `${path} will be made`)
      : fail(check, `${path} does not exist and cannot be made`, `make it for this user, or ${another}`)
  }
  if (!seen.isReadable || !seen.isWritable)
    return fail(check, `${path} cannot be written to`, `give this user rights on it (chown), or ${another}`)
  switch (store) {
    case 'empty':
      return ok(check, `${path} is empty and can be written to`)
    case 'free':
      return ok(check, `${path} is a chunk store that nobody has open`)
    case 'in-use':
      return fail(
        check,
        `${path} is in use by another process`,
        'give every relay a --chunkdirectory of its own; a node of yours that runs there is all right',
      )
    case 'foreign':
      return fail(check, `${path} is not empty and is no chunk store`, 'choose an empty --chunkdirectory')
    case 'other-version':
      return fail(check, `${path} is a chunk store of another version of peerstreamer`, another)
    case 'no-rights':
      return fail(check, `the store in ${path} belongs to another user`, `run as that user, or chown -R ${path}`)
    case 'unknown':
      return warn(
        check,
        `whether ${path} is in use cannot be seen`,
        'make room and rights in the folder for temporary files',
      )
  }
}

export async function checkVideoDatabase(path: string, floorBytes: number): Promise<Finding[]> {
  const seen = await lookAtDirectory(path)
  const canList = seen.state === 'there' && seen.isReadable
  const content = canList ? await lookAtDatabase(path) : { streams: [], others: [] }
  const key = seen.state === 'there' ? [await checkSigningKey(path)] : []
  return [judgeVideoDatabase(path, seen, content), ...key, ...judgeSpace('videodatabase-space', path, seen, floorBytes)]
}

/** Names of streams, and of folders and files that are none; what begins with a dot belongs to the database. */
export interface DatabaseContent {
  streams: string[]
  others: string[]
}

async function lookAtDatabase(path: string): Promise<DatabaseContent> {
  const database = await VideoDatabase.open(path, { create: false })
  try {
    const streams = await database.names()
    const others = (await readdir(path)).filter((name) => !name.startsWith('.') && !streams.includes(name))
    return { streams, others }
  } finally {
    await database.close()
  }
}

export function judgeVideoDatabase(path: string, seen: DirectorySeen, { streams, others }: DatabaseContent): Finding {
  const check = 'videodatabase'
  const publish = `publish a film into it (split_video -d ${path} -s film.mp4)`
  const another = 'name another --videodatabase'
  if (seen.state === 'not-a-directory') return fail(check, `${path} is not a directory`, another)
  if (seen.state === 'out-of-reach') return fail(check, `${path} cannot be reached`, another)
  if (seen.state === 'missing') return fail(check, `${path} does not exist`, `${publish}, or ${another}`)
  if (!seen.isReadable)
    return fail(check, `${path} cannot be read`, `give this user rights on it (chown), or ${another}`)
  if (streams.length === 0 && others.length > 0)
    return warn(check, `${path} holds no stream, but ${shorten(others, mostShown)}`, `${publish}, or ${another}`)
  if (streams.length === 0) return warn(check, `${path} holds no stream yet`, publish)
  const found = `${path} holds ${shorten(streams, mostShown)}`
  if (seen.isWritable) return ok(check, found)
  return warn(check, `${found}, and cannot be written to`, 'to publish into it, give this user rights on it (chown)')
}

function judgeSpace(check: string, path: string, seen: DirectorySeen, floorBytes: number): Finding[] {
  if (!('freeBytes' in seen)) return []
  const free = `${formatBytes(seen.freeBytes)} free for ${path}`
  if (seen.freeBytes >= floorBytes) return [ok(check, free)]
  const floor = formatBytes(floorBytes)
  return [warn(check, `${free}, less than the ${floor} that are left alone`, 'make room, or choose another disk')]
}
