import { spawnSync } from 'node:child_process'
import { mkdir, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { LevelChunkStore } from '../../lib/store/level-store.ts'
import { bytesOf, putRun } from '../compliance/chunk-store.ts'
import { captureFailure } from '../support/failures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { makePage } from '../support/pages.ts'
import { seededChance } from '../support/seeded.ts'
import { countRight, killWhileWriting } from '../support/store-process.ts'

describe('the chunk store on disk', () => {
  afterEach(removeFolders)

  it('serves nothing wrong after it was killed while writing, again and again, and keeps what it had flushed', async function () {
    this.timeout(60_000)
    const directory = await makeFolder()
    const made = makePage(400, 4000)
    const chance = seededChance(11)
    let heldBefore = 0
    for (let round = 0; round < 5; round++) {
      await killWhileWriting(directory, Math.floor(40 + chance() * 200))
      const store = await LevelChunkStore.open(directory)
      expect(await countRight(store, made), `round ${round}`).to.equal(store.stats().chunks)
      expect(store.stats().badChunks).to.equal(0)
      expect(store.stats().chunks, 'what an earlier round kept').to.be.at.least(heldBefore)
      heldBefore = store.stats().chunks
      await store.close()
    }
    expect(heldBefore).to.be.greaterThan(0)
  })

  const damages: [string, (directory: string) => Promise<void>][] = [
    ['a slab is cut short', async (directory) => truncate(await slabOf(directory), 30_000)],
    ['a slab is missing', async (directory) => rm(await slabOf(directory))],
    ['a slab is zeroed', async (directory) => fill(await slabOf(directory), 0, 100_000)],
    ['CURRENT of the index is missing', (directory) => rm(join(directory, 'index', 'CURRENT'))],
    ['CURRENT of the index is garbage', (directory) => writeFile(join(directory, 'index', 'CURRENT'), 'nonsense')],
    ['the MANIFEST of the index is garbage', async (directory) => fill(await fileOf(directory, /^MANIFEST/), 0, 200)],
    [
      'a table of the index is damaged so that LevelDB ends its process when it repairs it',
      async (directory) => {
        // A second life writes the rows into a table.
        await (await LevelChunkStore.open(directory)).close()
        const table = await fileOf(directory, /\.ldb$/)
        const bytes = await readFile(table)
        // Before its footer of 48 bytes: the end of the index of the table.
        const at = bytes.length - 58
        bytes[at] = (bytes[at] ?? 0) ^ 1
        await writeFile(table, bytes)
        await fill(await fileOf(directory, /^MANIFEST/), 0, 200)
      },
    ],
    ['the log of the index is torn', async (directory) => cutHalf(await fileOf(directory, /\.log$/))],
    ['the log of the index is garbage', async (directory) => fill(await fileOf(directory, /\.log$/), 20, 60)],
    [
      'the index is a file',
      async (directory) => {
        await rm(join(directory, 'index'), { recursive: true })
        await writeFile(join(directory, 'index'), 'a file')
      },
    ],
  ]
  for (const [what, damage] of damages) {
    it(`opens and serves nothing wrong when ${what}, and takes chunks again`, async () => {
      const directory = await makeFolder()
      const made = makePage(50, 4000)
      const before = await LevelChunkStore.open(directory)
      for (let first = 0; first < 50; first += 5) await putRun(before, made, first, 5)
      await before.close()
      await damage(directory)

      const store = await LevelChunkStore.open(directory)
      const right = await countRight(store, made)
      expect(store.stats().chunks, 'the rest was dropped').to.equal(right)
      for (let first = 0; first < 50; first += 5) expect(await putRun(store, made, first, 5)).to.equal(true)
      expect(await countRight(store, made)).to.equal(50)
      await store.close()
      const again = await LevelChunkStore.open(directory)
      expect(await countRight(again, made)).to.equal(50)
      await again.close()
    })
  }

  it('refuses a second process, a folder of something else, and one that it may not use', async () => {
    const directory = await makeFolder()
    const store = await LevelChunkStore.open(directory)
    expect((await captureFailure(LevelChunkStore.open(directory))).code).to.equal('store-locked')
    expect(await store.get(makePage(1, 10).page, 0, 1), 'the first goes on').to.equal(undefined)
    await store.close()

    const foreign = await makeFolder()
    await writeFile(join(foreign, 'thesis.txt'), 'precious')
    expect((await captureFailure(LevelChunkStore.open(foreign))).code).to.equal('directory-unusable')
    expect(await readdir(foreign)).to.deep.equal(['thesis.txt'])
    const file = join(foreign, 'thesis.txt')
    expect((await captureFailure(LevelChunkStore.open(file))).code).to.equal('directory-unusable')
    await mkdir(join(foreign, 'newer'))
    await writeFile(join(foreign, 'newer', 'peerstreamer-store.json'), '{"format":99}')
    expect((await captureFailure(LevelChunkStore.open(join(foreign, 'newer')))).message).to.include('another version')
  })

  it('evicts what was used longest ago, and never under a reader', async function () {
    this.timeout(60_000)
    const made = makePage(64, 10_000)
    // Room for four slabs of one chunk each; eight readers put back what they miss.
    const store = await LevelChunkStore.open(await makeFolder(), {
      capacityBytes: 40_000,
      slabBytes: 10_000,
      freeSpaceBytes: 0,
    })
    let reads = 0
    let hits = 0
    let lost = 0
    const chance = seededChance(5)
    const reader = async () => {
      while (reads < 10_000) {
        reads++
        const index = Math.floor(chance() * 12)
        const wasHeld = store.has(made.page.stream, index)
        const found = await store.get(made.page, index, 1)
        if (wasHeld && !found) lost++
        if (found) {
          hits++
          expect(found.equals(bytesOf(made, index, 1)), `chunk ${index}`).to.equal(true)
        } else await putRun(store, made, index, 1)
      }
    }
    await Promise.all(Array.from({ length: 8 }, reader))
    expect(store.stats().badChunks).to.equal(0)
    expect(store.stats().bytes).to.be.at.most(40_000)
    expect(lost).to.equal(0)
    expect(hits).to.be.greaterThan(50)
    await store.close()
  })

  it('passes chunks by when the disk is full, and keeps them again when there is room', async function () {
    if (spawnSync('unshare', ['-rm', 'true']).status !== 0)
      throw new Error('this test needs unshare (util-linux) and user namespaces')
    this.timeout(30_000)
    const folder = await makeFolder()
    const script = fileURLToPath(new URL('../support/full-disk.ts', import.meta.url))
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      [
        '-rm',
        'sh',
        '-c',
        `mount -t tmpfs -o size=3m tmpfs ${folder} && exec ${process.execPath} --import tsx ${script} ${folder}`,
      ],
      { encoding: 'utf8' },
    )
    expect(stderr).to.equal('')
    expect(status).to.equal(0)
    const seen = JSON.parse(stdout)
    expect(seen.keptAtFirst).to.be.greaterThan(0)
    expect(seen.refused, 'the disk was full').to.be.greaterThan(0)
    expect(seen.wrong).to.equal(0)
    expect(seen.keptLater, 'after room was made').to.equal(true)
    expect(seen.rightAfterRestart).to.equal(seen.chunksAtEnd)
  })
})

async function slabOf(directory: string): Promise<string> {
  const [name = ''] = await readdir(join(directory, 'slabs'))
  return join(directory, 'slabs', name)
}

async function fileOf(directory: string, pattern: RegExp): Promise<string> {
  const name = (await readdir(join(directory, 'index'))).find((one) => pattern.test(one))
  if (!name) throw new Error(`no file like ${pattern} in the index`)
  return join(directory, 'index', name)
}

async function fill(path: string, from: number, to: number): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(Buffer.alloc(to - from), 0, to - from, from)
  await file.close()
}

async function cutHalf(path: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.truncate(Math.floor((await file.stat()).size / 2))
  await file.close()
}
