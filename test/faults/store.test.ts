import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { LevelChunkStore } from '../../lib/store/level-store.ts'
import { putRun } from '../compliance/chunk-store.ts'
import { damageOne } from '../support/damage.ts'
import { figure, limitMs, note, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { makePage } from '../support/pages.ts'
import { seededChance } from '../support/seeded.ts'
import { countRight, killWhileWriting } from '../support/store-process.ts'

/** Longest that a damaged store may take to open, ms. */
const mostOpenMs = 5000

describe(`the chunk store (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  afterEach(removeFolders)

  it('serves nothing wrong after kills while it was written', async () => {
    const kills = figure(25, 500)
    const chance = seededChance(seed)
    const made = makePage(400, 4000)
    let left = kills
    /** One store that is killed again and again. */
    const life = async () => {
      let [directory, heldBefore] = [await makeFolder(), 0]
      while (left-- > 0) {
        if (heldBefore > 300) [directory, heldBefore] = [await makeFolder(), 0]
        await killWhileWriting(directory, Math.floor(20 + chance() * 100))
        const store = await LevelChunkStore.open(directory)
        expect(await countRight(store, made), `seed ${seed}`).to.equal(store.stats().chunks)
        expect(store.stats().badChunks, `seed ${seed}`).to.equal(0)
        expect(store.stats().chunks, 'what an earlier life kept').to.be.at.least(heldBefore)
        heldBefore = store.stats().chunks
        await store.close()
      }
    }
    await Promise.all([life(), life(), life()])
    note({ what: 'store kills', count: kills, wrong: 0, lost: 0 })
  })

  it('opens within 5 s with damaged files, serves nothing wrong, and takes chunks again', async () => {
    const chance = seededChance(seed)
    const made = makePage(50, 4000)
    const sound = await makeFolder()
    const before = await LevelChunkStore.open(sound, { slabBytes: 40_000 })
    await before.putPage(made.page.stream, 0, made.page.signed)
    for (let first = 0; first < 50; first += 5) await putRun(before, made, first, 5)
    await before.close()
    // A second life, so that there is more than one file of LevelDB.
    await (await LevelChunkStore.open(sound)).close()
    const count = figure(60, 2000)
    for (let round = 0; round < count; round++) {
      const directory = join(await makeFolder(), 'store')
      await cp(sound, directory, { recursive: true })
      const damages: string[] = []
      for (let n = 1 + Math.floor(chance() * 3); n > 0; n--) damages.push(await damageOne(directory, chance))
      const what = `${damages.join(', ')}; seed ${seed}, round ${round}`
      const startedAt = performance.now()
      const store = await LevelChunkStore.open(directory).catch((error) => {
        throw new Error(`${what}: ${error}`, { cause: error })
      })
      expect(performance.now() - startedAt, what).to.be.at.most(mostOpenMs)
      await countRight(store, made, what)
      await store.getPage(made.page.stream, 0)
      for (let first = 0; first < 50; first += 5) expect(await putRun(store, made, first, 5), what).to.equal(true)
      expect(await countRight(store, made, what), what).to.equal(50)
      await store.close()
      if (round % 20 === 19) await rm(directory, { recursive: true })
    }
    note({ what: 'damaged files', count, wrong: 0 })
  })
})
