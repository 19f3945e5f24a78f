import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { LevelChunkStore } from '../../lib/store/level-store.ts'
import { MemoryChunkStore } from '../../lib/store/memory-store.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { describeChunkStore } from './chunk-store.ts'

after(removeFolders)

describeChunkStore('the chunk store in memory', async () => new MemoryChunkStore())

let directory = ''
describeChunkStore(
  'the chunk store on disk',
  async () => {
    directory = await makeFolder()
    return LevelChunkStore.open(directory)
  },
  () => overwriteSlabs(directory),
)

describeChunkStore('the chunk store on disk with slabs of a few chunks', async () =>
  LevelChunkStore.open(await makeFolder(), { slabBytes: 700 }),
)

async function overwriteSlabs(directory: string): Promise<void> {
  for (const name of await readdir(join(directory, 'slabs'))) {
    const file = await open(join(directory, 'slabs', name), 'r+')
    await file.write(Buffer.alloc(10, 0xff), 0, 10, 100)
    await file.close()
  }
}
