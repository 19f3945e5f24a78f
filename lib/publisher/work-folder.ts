import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errnoOf, Failure } from '../base/errors.ts'
import { isRunning } from '../store/is-running.ts'

const prefix = 'peerstreamer-publish-'

/** A folder for the time of `work`, under the system's folder for temporary files (`TMPDIR`); removes also what killed publishers left there. */
export async function inWorkFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const parent = tmpdir()
  await removeLeftovers(parent)
  const folder = await mkdtemp(join(parent, `${prefix}${process.pid}-`)).catch((cause) => {
    throw new Failure('directory-unusable', `cannot make a folder in ${parent}: ${errnoOf(cause)}; set TMPDIR`, {
      cause,
    })
  })
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function removeLeftovers(parent: string): Promise<void> {
  for (const entry of await readdir(parent).catch(() => [])) {
    const owner = entry.startsWith(prefix) ? Number.parseInt(entry.slice(prefix.length), 10) : Number.NaN
    if (Number.isNaN(owner) || isRunning(owner)) continue
    // Another user's may not be removed.
    await rm(join(parent, entry), { recursive: true, force: true }).catch(() => {})
  }
}
