import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { limits } from '../../lib/base/limits.ts'
import { silentLogger } from '../../lib/base/log.ts'
import { VirtualClock } from '../../lib/base/virtual-clock.ts'
import { Uploads, type UploadsOptions } from '../../lib/store/uploads.ts'
import { VideoDatabase } from '../../lib/store/video-database.ts'
import { splitAddress } from '../../lib/stream/address.ts'
import { Descriptor } from '../../lib/stream/descriptor.ts'
import { RpcClient } from '../../lib/zerorpc/index.ts'
import { captureFailure } from '../support/failures.ts'
import { makeFolder } from '../support/folders.ts'
import { publishBytes, streamFrom, TestNetwork } from '../support/network.ts'
import { TestPrograms } from '../support/programs.ts'
import { type CutStream, strangerKey, TestPublishers } from '../support/publisher.ts'

const anew = { replace: true }

describe('a publisher', () => {
  const network = new TestNetwork()
  const publishers = new TestPublishers()
  const programs = new TestPrograms()
  afterEach(async () => {
    await publishers.close()
    await programs.close()
    await network.close()
  })

  it('hands a stream of many pages over, which is served at once with its own signatures', async () => {
    const source = await network.source()
    const film = await publishers.cut('film', { count: 2500, sizeBytes: 700 })
    expect(await publishers.handOver(source.address, film)).to.deep.equal({ chunks: 2500, bytes: 2500 * 700 })
    expect((await streamFrom(source, 'film')).sha256).to.equal(film.sha256)
    const [row] = await publishers.peer(source.address).list()
    expect(row).to.include({ name: 'film', key: film.key, chunkCount: 2500 })
    expect(source.stats().chunksReceived).to.equal(2500)
    await expectClean(source.directory)
  })

  it('that broke off half-way sends only what is missing', async () => {
    const source = await network.source()
    const film = await publishers.cut('film', { count: 300, sizeBytes: 100_000 })
    await publishers.sendPart(source.address, film, 120)
    expect(await publishers.peer(source.address).list(), 'nothing is seen of it').to.deep.equal([])
    expect(await publishers.handOver(source.address, film)).to.deep.equal({ chunks: 180, bytes: 18_000_000 })
    expect(source.stats().chunksReceived).to.equal(300)
    expect((await streamFrom(source, 'film')).sha256).to.equal(film.sha256)
  })

  it('ends at once when it is told to, and the source keeps what it has', async () => {
    const source = await network.source()
    const film = await publishers.cut('film', { count: 300, sizeBytes: 100_000 })
    const controller = new AbortController()
    const reason = new Error('told to end')
    const onProgress = (done: number) => {
      if (done >= 10_000_000) controller.abort(reason)
    }
    const ended = publishers.handOver(source.address, film, { signal: controller.signal, onProgress })
    expect(await ended.catch((error) => error)).to.equal(reason)
    const sent = await publishers.handOver(source.address, film)
    expect(sent.chunks).to.be.at.most(200)
    expect((await streamFrom(source, 'film')).sha256).to.equal(film.sha256)
  })

  it('goes on by itself when its connection breaks', async () => {
    const source = await network.source()
    const film = await publishers.cut('film', { count: 300, sizeBytes: 100_000 })
    const peer = publishers.peer(source.address)
    let breaks = 0
    const onProgress = (done: number) => {
      if (done <= breaks * 5_000_000) return
      breaks++
      peer.abandon()
    }
    await publishers.handOver(source.address, film, { source: peer, onProgress })
    expect(breaks).to.be.at.least(5)
    expect((await streamFrom(source, 'film')).sha256).to.equal(film.sha256)
  })

  it('goes on by itself when the source is closed and started again', async () => {
    const before = await network.source()
    const options = { videoDatabase: before.directory, port: splitAddress(before.address).port }
    const film = await publishers.cut('film', { count: 300, sizeBytes: 100_000 })
    let restarted: Promise<unknown> | undefined
    const sent = await publishers.handOver(before.address, film, {
      onProgress(done) {
        if (done >= 10_000_000) restarted ??= before.close().then(() => network.source(options))
      },
    })
    await restarted
    expect(sent.chunks, 'what was there was not sent again').to.be.at.most(300)
    expect((await streamFrom(before, 'film')).sha256).to.equal(film.sha256)
    await expectClean(before.directory)
  })

  it('goes on by itself when the source is killed and started again', async function () {
    this.timeout(30_000)
    const directory = await makeFolder()
    const first = await programs.node('source', ['--videodatabase', directory])
    const port = String(splitAddress(first.address).port)
    const film = await publishers.cut('film', { count: 300, sizeBytes: 100_000 })
    let restarted: Promise<unknown> | undefined
    const restart = async () => {
      first.program.signal('SIGKILL')
      await first.program.ended
      await programs.node('source', ['--videodatabase', directory, '--port', port])
    }
    await publishers.handOver(first.address, film, {
      onProgress(done) {
        if (done >= 10_000_000) restarted ??= restart()
      },
    })
    await restarted
    expect((await streamFrom(first, 'film')).sha256).to.equal(film.sha256)
  })

  for (const [what, file, damage] of [
    ['a byte of the media file is flipped', 'film.bin', (bytes: Buffer) => flipped(bytes, 5_000_050)],
    ['the media file is cut short', 'film.bin', (bytes: Buffer) => bytes.subarray(0, 5_000_050)],
    ['the pages are torn', 'film.pages', (bytes: Buffer) => bytes.subarray(0, 300)],
    ['the descriptor is garbage', 'film.descriptor', () => Buffer.from('nonsense')],
  ] as const) {
    it(`publishes nothing wrong when ${what} while the source is down`, async () => {
      const before = await network.source()
      const film = await publishers.cut('film', { count: 300, sizeBytes: 100_000 })
      await publishers.sendPart(before.address, film, 120)
      await before.close()
      const path = join(before.directory, '.uploads', await onlyUpload(before.directory), file)
      await writeFile(path, damage(await readFile(path)))
      const source = await network.source({ videoDatabase: before.directory })
      const sent = await publishers.handOver(source.address, film)
      expect(sent.chunks).to.equal(file === 'film.bin' ? 250 : 300)
      expect((await streamFrom(source, 'film')).sha256).to.equal(film.sha256)
    })
  }

  it('is refused wrong chunks, pages of others, and what is out of order', async () => {
    const source = await network.source()
    const film = await publishers.cut('film', { count: 1100, sizeBytes: 300 })
    const foreign = await publishers.cut('film', { count: 1100, sizeBytes: 300, signer: strangerKey })
    const older = await publishers.cut('film', { count: 1100, sizeBytes: 300, epoch: 7 })
    const peer = publishers.peer(source.address)
    const { stream, chunks } = film
    const { upload } = await peer.publish(stream.descriptor.signed, await stream.contentDigest(), { replace: false })
    const pages = [(await stream.page(0)).signed, (await stream.page(1024)).signed]
    const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = chunks
    const codeOf = async (call: Promise<unknown>) => (await captureFailure(call)).code

    expect(await codeOf(peer.publishChunks(upload, 0, 1, one)), 'before its page').to.equal('bad-argument')
    expect(await codeOf(peer.publishPages(upload, 0, [(await foreign.stream.page(0)).signed]))).to.equal(
      'bad-signature',
    )
    expect(await codeOf(peer.publishPages(upload, 0, [(await older.stream.page(0)).signed]))).to.equal('stream-changed')
    expect(await codeOf(peer.publishPages(upload, 0, pages.slice(1))), 'the second first').to.equal('bad-format')
    expect(await codeOf(peer.publishPages(upload, 1, pages.slice(1))), 'a gap').to.equal('bad-argument')
    await peer.publishPages(upload, 0, pages)
    expect(await codeOf(peer.publishChunks(upload, 0, 1, flipped(one, 7)))).to.equal('bad-digest')
    expect(await codeOf(peer.publishChunks(upload, 0, 2, one)), 'too few bytes').to.equal('bad-digest')
    expect(await codeOf(peer.publishChunks(upload, 1, 1, two)), 'a gap').to.equal('bad-argument')
    await peer.publishChunks(upload, 0, 1, one)
    await peer.publishChunks(upload, 0, 1, one)
    expect(await codeOf(peer.publishEnd(upload)), 'not whole').to.equal('bad-argument')
    expect(await codeOf(peer.publishEnd('f'.repeat(64)))).to.equal('not-found')
    expect(await peer.list()).to.deep.equal([])
    expect(await publishers.handOver(source.address, film)).to.include({ chunks: 1099 })
    expect((await streamFrom(source, 'film')).sha256).to.equal(film.sha256)
  })

  it('is refused what does not belong to the digest of its pages', async () => {
    const source = await network.source()
    const { stream, chunks } = await publishers.cut('film', { count: 3, sizeBytes: 300 })
    const peer = publishers.peer(source.address)
    const { upload } = await peer.publish(stream.descriptor.signed, Buffer.alloc(32, 9), { replace: false })
    await peer.publishPages(upload, 0, [(await stream.page(0)).signed])
    await peer.publishChunks(upload, 0, 3, Buffer.concat(chunks))
    expect((await captureFailure(peer.publishEnd(upload))).code).to.equal('bad-digest')
  })

  it('with another key is refused with both keys, also with --replace, and what is served stays', async () => {
    const source = await network.source()
    const film = await publishers.cut('film', { count: 3, sizeBytes: 5000 })
    await publishers.handOver(source.address, film)
    const foreign = await publishers.cut('film', { count: 3, sizeBytes: 5000, signer: strangerKey, epoch: 9 })
    for (const attempt of [
      () => publishers.handOver(source.address, foreign, anew),
      () => publishers.peer(source.address).publishCheck('film', strangerKey.publicKey, anew),
    ]) {
      const failure = await captureFailure(attempt())
      expect(failure.code).to.equal('key-changed')
      expect(failure.message)
        .to.include(film.key)
        .and.include(foreign.key)
        .and.match(/--signingkey|--name/)
    }
    expect((await streamFrom(source, 'film')).sha256).to.equal(film.sha256)

    const own = await publishBytes(source.directory, 'own', { count: 1, sizeBytes: 100 })
    const taken = await publishers.cut('own', { count: 1, sizeBytes: 100, epoch: 2 })
    const failure = await captureFailure(publishers.handOver(source.address, taken, anew))
    expect(failure.message, 'a stream of the database itself').to.include(own.key)
  })

  it('is refused a name that is taken, and replaces its own with a greater epoch only', async () => {
    const source = await network.source()
    await publishers.handOver(source.address, await publishers.cut('film', { count: 3, sizeBytes: 5000 }))
    const other = await publishers.cut('film', { count: 4, sizeBytes: 5000, seed: 2 })
    expect((await captureFailure(publishers.handOver(source.address, other))).code).to.equal('exists')
    expect((await captureFailure(publishers.handOver(source.address, other, anew))).code).to.equal('stream-changed')
    const { epoch } = await publishers
      .peer(source.address)
      .publishCheck('film', other.stream.descriptor.publicKey, anew)
    expect(epoch).to.equal(2)
    const newer = await publishers.cut('film', { count: 4, sizeBytes: 5000, seed: 2, epoch })
    await publishers.handOver(source.address, newer, anew)
    expect((await streamFrom(source, 'film')).sha256).to.equal(newer.sha256)
    expect(await publishers.handOver(source.address, newer, anew), 'done already').to.include({ chunks: 0 })
    await expectClean(source.directory)
  })

  it('shares a source with another one: other names, the same stream, and other content for one name', async () => {
    const source = await network.source()
    const film = await publishers.cut('film', { count: 200, sizeBytes: 50_000 })
    const other = await publishers.cut('other', { count: 200, sizeBytes: 50_000, seed: 2, signer: strangerKey })
    await Promise.all([film, other, film].map((cut) => publishers.handOver(source.address, cut)))
    expect((await streamFrom(source, 'film')).sha256).to.equal(film.sha256)
    expect((await streamFrom(source, 'other')).sha256).to.equal(other.sha256)

    const older = await publishers.cut('twice', { count: 200, sizeBytes: 50_000, seed: 3 })
    const newer = await publishers.cut('twice', { count: 200, sizeBytes: 50_000, seed: 4 })
    let begun: Promise<unknown> | undefined
    const onProgress = () => {
      begun ??= publishers.handOver(source.address, newer)
    }
    const failure = await captureFailure(publishers.handOver(source.address, older, { onProgress }))
    expect(failure.code).to.equal('stream-changed')
    await begun
    expect((await streamFrom(source, 'twice')).sha256).to.equal(newer.sha256)
    await expectClean(source.directory)
  })

  it('with another key is refused at the end when the name was published meanwhile', async () => {
    const source = await network.source()
    const film = await publishers.cut('film', { count: 40, sizeBytes: 50_000 })
    const foreign = await publishers.cut('film', { count: 40, sizeBytes: 50_000, seed: 2, signer: strangerKey })
    await publishers.sendPart(source.address, foreign, 20)
    await publishers.handOver(source.address, film)
    expect((await captureFailure(publishers.handOver(source.address, foreign))).code).to.equal('key-changed')
    expect((await streamFrom(source, 'film')).sha256).to.equal(film.sha256)
  })

  it('is refused by a relay, and by a source that listens beyond loopback unless that takes any', async () => {
    const film = await publishers.cut('film', { count: 3, sizeBytes: 5000 })
    const source = await network.source({ ip: '0.0.0.0' })
    const relay = await network.relay('relay', [source.address], { publishers: 'any' })
    for (const [node, message] of [
      [source, /--publishers any/],
      [relay, /relay.*publish to the source/],
    ] as const) {
      const failure = await captureFailure(publishers.handOver(node.address, film))
      expect(failure.code).to.equal('refused')
      expect(failure.message).to.match(message)
    }
    const open = await network.source({ ip: '0.0.0.0', publishers: 'any' })
    await publishers.handOver(open.address, film)
    expect((await streamFrom(open, 'film')).sha256).to.equal(film.sha256)
  })

  it('of another program may send bytes inside the value', async () => {
    const source = await network.source()
    const { stream, chunks, sha256 } = await publishers.cut('film', { count: 3, sizeBytes: 5000 })
    const client = new RpcClient(source.address)
    const call = async (method: string, ...args: unknown[]) => (await client.call(method, args)).value
    try {
      const digest = await stream.contentDigest()
      const { upload } = (await call('publish', stream.descriptor.signed, digest)) as { upload: string }
      await call('publishPages', upload, '0', [(await stream.page(0)).signed])
      await call('publishChunks', upload, '0', '3', Buffer.concat(chunks))
      await call('publishEnd', upload)
    } finally {
      await client.close()
    }
    expect((await streamFrom(source, 'film')).sha256).to.equal(sha256)
  })
})

describe('uploads at a source', () => {
  const publishers = new TestPublishers()
  const network = new TestNetwork()
  const opened: Uploads[] = []
  afterEach(async () => {
    for (const uploads of opened.splice(0)) await uploads.close()
    await publishers.close()
    await network.close()
  })
  const open = async (options: Partial<UploadsOptions> = {}) => {
    const database = options.database ?? (await VideoDatabase.open(await makeFolder(), { create: true }))
    const uploads = await Uploads.open({ clock: new VirtualClock(), log: silentLogger, ...options, database })
    opened.push(uploads)
    return { uploads, database }
  }
  const begin = async (uploads: Uploads, { stream }: CutStream) =>
    uploads.begin(stream.descriptor.signed, await stream.contentDigest(), { replace: false })

  it('are refused when they are too large or too many, or the disk has no room', async () => {
    const film = await publishers.cut('film', { count: 3, sizeBytes: 5000 })
    const small = await open({ uploadBytes: 14_999 })
    expect((await captureFailure(begin(small.uploads, film))).code).to.equal('over-limit')
    const full = await open({ freeSpaceBytes: Number.MAX_SAFE_INTEGER })
    expect((await captureFailure(begin(full.uploads, film))).code).to.equal('disk-full')
    const { uploads } = await open()
    for (let i = 0; i < limits.uploadsAtOnce; i++)
      await begin(uploads, await publishers.cut(`film${i}`, { count: 1, sizeBytes: 300 }))
    expect((await captureFailure(begin(uploads, film))).code).to.equal('over-limit')
  })

  it('are put aside when nothing comes, and taken up again', async () => {
    const clock = new VirtualClock()
    const { uploads } = await open({ clock })
    const film = await publishers.cut('film', { count: 3, sizeBytes: 5000 })
    const { upload } = await begin(uploads, film)
    await uploads.get(upload).addPages(0, [(await film.stream.page(0)).signed])
    await uploads.get(upload).addChunks(0, 1, film.chunks[0] ?? Buffer.alloc(0))
    await clock.advance(limits.uploadIdleMs)
    expect((await captureFailure((async () => uploads.get(upload))())).code).to.equal('not-found')
    expect(await begin(uploads, film)).to.deep.equal({ upload, pages: 1, chunks: 1, done: false })
  })

  it('are removed when nothing came for a day, and when the stream is begun with other content', async () => {
    const source = await network.source()
    for (const name of ['old', 'young'])
      await publishers.sendPart(source.address, await publishers.cut(name, { count: 5, sizeBytes: 5000 }), 2)
    await source.close()
    const folder = join(source.directory, '.uploads')
    const [first = '', second = ''] = await readdir(folder)
    const yesterday = (Date.now() - limits.uploadKeptMs - 60_000) / 1000
    for (const file of [...(await readdir(join(folder, first))), '.'])
      await utimes(join(folder, first, file), yesterday, yesterday)
    const again = await network.source({ videoDatabase: source.directory })
    expect(await readdir(folder)).to.deep.equal([second])

    for (const name of ['old', 'young'])
      await publishers.handOver(again.address, await publishers.cut(name, { count: 1, sizeBytes: 300, seed: 9 }))
    await expectClean(source.directory)
  })

  it('that are live, empty or named like files of the database are refused', async () => {
    const { uploads } = await open()
    const film = await publishers.cut('film', { count: 1, sizeBytes: 300 })
    for (const change of [{ kind: 'live' as const }, { chunkCount: 0 }, { ending: 'pages' }]) {
      const descriptor = Descriptor.make({ ...film.stream.descriptor.fields, ...change }, strangerKey)
      const failure = await captureFailure(uploads.begin(descriptor.signed, Buffer.alloc(32), { replace: false }))
      expect(failure.code).to.equal('bad-argument')
    }
  })
})

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

async function onlyUpload(directory: string): Promise<string> {
  const [only = '', ...more] = await readdir(join(directory, '.uploads'))
  expect(more).to.deep.equal([])
  return only
}

async function expectClean(directory: string): Promise<void> {
  expect(await readdir(join(directory, '.uploads'))).to.deep.equal([])
  expect((await readdir(directory)).filter((name) => name.startsWith('.publishing'))).to.deep.equal([])
}
