/**
 * Run as a process of its own, to be killed: puts runs of a stream into the store in argv[2], prints each index once it is
 * kept, and goes on until it ends or is killed. argv[3]: chunks; argv[4]: bytes of each.
 */
import { writeSync } from 'node:fs'
import { pause, systemClock } from '../../lib/base/clock.ts'
import { LevelChunkStore } from '../../lib/store/level-store.ts'
import { makePage } from './pages.ts'

const [, , directory = '', count = '0', sizeBytes = '0'] = process.argv
const store = await LevelChunkStore.open(directory, { slabBytes: 256 * 1024, freeSpaceBytes: 0 })
const made = makePage(Number(count), Number(sizeBytes))
for (const [index, chunk] of made.chunks.entries()) {
  const isKept = await store.put(made.page, index, 1, chunk)
  // Slower than the batches of rows, so that a kill finds some on disk.
  await pause(systemClock, 2)
  writeSync(1, `${isKept ? index : 'not kept'}\n`)
}
writeSync(1, 'done\n')
await store.close()
