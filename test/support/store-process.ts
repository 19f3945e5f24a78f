import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LevelChunkStore } from '../../lib/store/level-store.ts'
import { bytesOf } from '../compliance/chunk-store.ts'
import type { MadePage } from './pages.ts'

const writer = fileURLToPath(new URL('store-writer.ts', import.meta.url))

/** Runs a process that writes 400 chunks of 4,000 bytes into the store, and kills it once it has kept so many. */
export async function killWhileWriting(directory: string, afterLines: number): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', writer, directory, '400', '4000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  let lines = 0
  for await (const _ of createInterface({ input: child.stdout })) if (++lines >= afterLines) child.kill('SIGKILL')
  await ended
}

/** Chunks that the store gives back right; throws when it gives wrong ones. `what` tells which run it was. */
export async function countRight(store: LevelChunkStore, made: MadePage, what = ''): Promise<number> {
  let right = 0
  for (let index = 0; index < made.page.count; index++) {
    const found = await store.get(made.page, index, 1)
    if (!found) continue
    if (!found.equals(bytesOf(made, index, 1))) throw new Error(`chunk ${index} is wrong; ${what}`)
    right++
  }
  return right
}
