/** Run on a small disk of its own, argv[2]: fills it through the store, makes room, and prints what was seen as JSON. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { VirtualClock } from '../../lib/base/virtual-clock.ts'
import { LevelChunkStore } from '../../lib/store/level-store.ts'
import { makePage } from './pages.ts'

const folder = process.argv[2] ?? ''
const directory = join(folder, 'store')
const ballast = join(folder, 'ballast')
writeFileSync(ballast, Buffer.alloc(1024 * 1024))
const clock = new VirtualClock()
const options = { clock, freeSpaceBytes: 0, capacityBytes: 100 * 1024 * 1024, slabBytes: 512 * 1024 }
const made = makePage(200, 20_000)
let store = await LevelChunkStore.open(directory, options)
let keptAtFirst = 0
let refused = 0
for (const [index, chunk] of made.chunks.entries()) {
  if (await store.put(made.page, index, 1, chunk)) keptAtFirst++
  else refused++
}
const countRight = async () => {
  let [right, wrong] = [0, 0]
  for (const [index, chunk] of made.chunks.entries()) {
    const found = await store.get(made.page, index, 1)
    if (found?.equals(chunk)) right++
    else if (found) wrong++
  }
  return { right, wrong }
}
const { wrong } = await countRight()
rmSync(ballast)
await clock.advance(120_000)
const keptLater = await store.put(made.page, 199, 1, made.chunks[199] ?? Buffer.alloc(0))
const chunksAtEnd = store.stats().chunks
await store.close()
store = await LevelChunkStore.open(directory, options)
const rightAfterRestart = (await countRight()).right
await store.close()
process.stdout.write(JSON.stringify({ keptAtFirst, refused, wrong, keptLater, chunksAtEnd, rightAfterRestart }))
