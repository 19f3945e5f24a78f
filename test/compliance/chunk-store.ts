import { expect } from 'chai'
import type { ChunkStore } from '../../lib/store/chunk-store.ts'
import { captureFailure } from '../support/failures.ts'
import { type MadePage, makePage } from '../support/pages.ts'
import { seededChance } from '../support/seeded.ts'

/** What every `ChunkStore` must do. `open` gives an empty store; `damage` changes stored bytes of all chunks behind its back. */
export function describeChunkStore(
  what: string,
  open: () => Promise<ChunkStore>,
  damage?: (store: ChunkStore) => Promise<void>,
): void {
  describe(what, () => {
    let store: ChunkStore
    beforeEach(async () => {
      store = await open()
    })
    afterEach(() => store.close())

    it('is empty at first', async () => {
      const { page } = makePage(4, 100)
      expect(store.streams()).to.deep.equal([])
      expect(store.has(page.stream, 0)).to.equal(false)
      expect(await store.get(page, 0, 1)).to.equal(undefined)
      expect(store.stats()).to.deep.equal({ chunks: 0, bytes: 0, badChunks: 0 })
    })

    it('gives back the bytes of a run, of each chunk and of any stretch', async () => {
      const made = makePage(8, 1000)
      expect(await putRun(store, made, 0, 8)).to.equal(true)
      for (const [first, count] of [
        [0, 8],
        [3, 1],
        [2, 5],
        [7, 1],
      ] as const) {
        expect(await store.get(made.page, first, count)).to.deep.equal(bytesOf(made, first, count))
      }
      expect(store.stats()).to.deep.equal({ chunks: 8, bytes: 8000, badChunks: 0 })
    })

    it('holds what was put and nothing else, whatever the order', async () => {
      const made = makePage(64, 50)
      const chance = seededChance(3)
      const held = new Set<number>()
      for (let step = 0; step < 60; step++) {
        const first = Math.floor(chance() * 60)
        const count = 1 + Math.floor(chance() * 4)
        await putRun(store, made, first, count)
        for (let index = first; index < first + count; index++) held.add(index)
      }
      for (let index = 0; index < 64; index++) {
        expect(store.has(made.page.stream, index), `chunk ${index}`).to.equal(held.has(index))
        expect(await store.get(made.page, index, 1)).to.deep.equal(
          held.has(index) ? bytesOf(made, index, 1) : undefined,
        )
      }
      const listed = store
        .held(made.page.stream)
        .flatMap(({ first, end }) => Array.from({ length: end - first }, (_, i) => first + i))
      expect(listed).to.deep.equal([...held].sort((a, b) => a - b))
      expect(store.stats().chunks).to.equal(held.size)
    })

    it('answers a run of which a part is missing with nothing', async () => {
      const made = makePage(8, 100)
      await putRun(store, made, 0, 3)
      await putRun(store, made, 5, 3)
      expect(await store.get(made.page, 2, 4)).to.equal(undefined)
    })

    it('keeps streams and epochs apart', async () => {
      const [film, other, anew] = [
        makePage(2, 100),
        makePage(2, 100, { name: 'other', seed: 2 }),
        makePage(2, 100, { epoch: 2, seed: 3 }),
      ]
      for (const made of [film, other, anew]) await putRun(store, made, 0, 2)
      for (const made of [film, other, anew])
        expect(await store.get(made.page, 0, 2)).to.deep.equal(bytesOf(made, 0, 2))
      await store.delete(film.page.stream)
      expect(store.has(film.page.stream, 0)).to.equal(false)
      expect(await store.get(other.page, 1, 1)).to.deep.equal(bytesOf(other, 1, 1))
      expect(store.streams()).to.have.members([other.page.stream, anew.page.stream])
    })

    it('tells what is lost', async () => {
      const made = makePage(6, 100)
      await putRun(store, made, 0, 6)
      const lost: string[] = []
      store.onLost((stream, { first, end }) => lost.push(`${stream} ${first} ${end}`))
      await store.delete(made.page.stream)
      expect(lost).to.deep.equal([`${made.page.stream} 0 6`])
    })

    it('takes the same chunks from many at once, and keeps them once', async () => {
      const made = makePage(16, 500)
      const puts = Array.from({ length: 8 }, () => putRun(store, made, 0, 16))
      expect(await Promise.all(puts)).to.include(true)
      expect(await store.get(made.page, 0, 16)).to.deep.equal(bytesOf(made, 0, 16))
      expect(store.stats().chunks).to.equal(16)
    })

    it('refuses to be used when it is closed, and can be closed twice', async () => {
      const made = makePage(1, 100)
      await store.close()
      await store.close()
      expect((await captureFailure(store.get(made.page, 0, 1))).code).to.equal('closed')
      expect((await captureFailure(putRun(store, made, 0, 1))).code).to.equal('closed')
    })

    if (damage) {
      it('drops, counts and tells bytes that changed, and takes them anew', async () => {
        const made = makePage(4, 5000)
        await putRun(store, made, 0, 4)
        await damage(store)
        const lost: number[] = []
        store.onLost((_, { first, end }) => lost.push(first, end))
        expect(await store.get(made.page, 0, 4)).to.equal(undefined)
        expect(store.stats().badChunks).to.equal(1)
        expect(lost).to.deep.equal([0, 4])
        expect(store.has(made.page.stream, 0)).to.equal(false)
        await putRun(store, made, 0, 4)
        expect(await store.get(made.page, 0, 4)).to.deep.equal(bytesOf(made, 0, 4))
      })
    }
  })
}

export function bytesOf({ chunks }: MadePage, first: number, count: number): Buffer {
  return Buffer.concat(chunks.slice(first, first + count))
}

export function putRun(store: ChunkStore, made: MadePage, first: number, count: number): Promise<boolean> {
  return store.put(made.page, first, count, bytesOf(made, first, count))
}
