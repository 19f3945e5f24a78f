import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.ts'
import type { Failure } from '../../lib/base/errors.ts'
import type { SignedReply } from '../../lib/network/contract.ts'
import type { Peer } from '../../lib/network/peer.ts'
import { Peers } from '../../lib/network/peers.ts'
import { splitAddress } from '../../lib/stream/address.ts'
import { parseLink } from '../../lib/stream/links.ts'
import { RpcServer, WithPayload } from '../../lib/zerorpc/index.ts'
import { captureFailure } from '../support/failures.ts'
import { makeFolder } from '../support/folders.ts'
import { ForgedMaster } from '../support/forged-master.ts'
import { publishBytes, streamFrom, TestNetwork } from '../support/network.ts'
import { until } from '../support/until.ts'

describe('wrong bytes', () => {
  const network = new TestNetwork()
  const liars: RpcServer[] = []
  afterEach(async () => {
    for (const liar of liars.splice(0)) await liar.close()
    await network.close()
  })

  it('flipped in the store of a relay are never seen by a streamer, are counted, and are mended', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 12, sizeBytes: 200_000 })
    const options = { chunkDirectory: join(await makeFolder(), 'chunks') }
    const before = await network.relay('relay', [source.address], options)
    await streamFrom(before, 'film')
    await before.close()
    await flipByte(join(options.chunkDirectory, 'slabs'), 500_000)

    const relay = await network.relay('relay', [source.address], options)
    const seen = await streamFrom(relay, 'film')
    expect(seen.sha256).to.equal(film.sha256)
    expect(seen.summary.badChunks, 'reached the streamer').to.equal(0)
    expect(relay.stats().badChunks).to.equal(1)
    const again = await streamFrom(relay, 'film')
    expect(again.sha256).to.equal(film.sha256)
    expect(relay.stats().badChunks, 'mended').to.equal(1)
  })

  it('from a sibling are never stored or passed on, and the sibling is asked no more', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 40, sizeBytes: 50_000 })
    const liar = await lyingRelay(source.address)
    liars.push(liar.server)
    const victim = await network.relay('victim', [source.address])
    const { sha256, summary } = await streamFrom(victim, 'film')
    expect(sha256).to.equal(film.sha256)
    expect(summary.badChunks).to.equal(0)
    expect(liar.lies(), 'it was asked').to.be.greaterThan(0)
    expect(liar.lies(), 'it is banned soon').to.be.at.most(20)
    expect(victim.stats().badChunks).to.be.greaterThan(0)
    await victim.close()
    const again = await network.relay('victim', [source.address], { chunkDirectory: victim.directory })
    expect((await streamFrom(again, 'film')).sha256, 'its store is clean').to.equal(film.sha256)
  })

  it('of a descriptor signed with another key are refused by name and by link', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 3, sizeBytes: 5000 })
    const relay = await network.relay('relay', [source.address])
    await streamFrom(relay, 'film')
    const { port } = splitAddress(source.address)
    await source.close()
    const stranger = await network.source({ port })
    const other = await publishBytes(stranger.directory, 'film', { count: 3, sizeBytes: 5000, seed: 2 })
    await until(
      'the new master',
      () => relay.stats().master,
      (master) => master === stranger.address,
    )

    const link = parseLink(`${stranger.address}/film#${film.key}`)
    const byLink = await captureFailure(streamFrom(stranger, 'film', { source: link }))
    expect(byLink.code).to.equal('key-changed')
    expect(byLink.message).to.include(film.key).and.include(other.key)
    // The relay pinned the first key: it serves what it has until it asks again, and never the stranger's.
    const seen = await until(
      'the refusal',
      () => streamFrom(relay, 'film').catch((error: Failure) => error),
      (got) => 'code' in got || got.sha256 !== film.sha256,
    )
    if (!('code' in seen)) throw new Error("the relay served the stranger's film")
    expect(seen.code).to.equal('key-changed')
    expect(seen.message).to.include(film.key).and.include(other.key)
  })
})

describe('a master that gives pages', () => {
  const network = new TestNetwork()
  const peers = new Peers(systemClock)
  const liars: ForgedMaster[] = []
  afterEach(async () => {
    for (const liar of liars.splice(0)) await liar.close()
    await network.close()
  })
  after(() => peers.close())

  const kinds: [string, (source: Peer, pages: SignedReply[]) => Promise<SignedReply[]>][] = [
    ['of an earlier epoch', async (_, [, older]) => (older ? [older] : [])],
    ['of another stream of the same publisher', (source) => source.pages('other', 0, 1, 1)],
    ['of another place of the stream', (source) => source.pages('film', 1024, 1, 2)],
    ['that it altered', async (_, [right]) => (right ? [altered(right)] : [])],
    ['that are none', async () => [{ body: Buffer.from([0x93, 1, 2, 3]), signature: Buffer.alloc(64, 1) }]],
  ]
  for (const [what, lieOf] of kinds) {
    it(`${what} is passed by, and nothing of it is kept`, async () => {
      const source = await network.source()
      const shape = { count: 1500, sizeBytes: 100 }
      await publishBytes(source.directory, 'film', shape)
      await publishBytes(source.directory, 'other', { ...shape, seed: 3 })
      const older = await peers.at(source.address).pages('film', 0, 1, 1)
      const film = await publishBytes(source.directory, 'film', { ...shape, seed: 2, replace: true })
      const right = await until(
        'the newer epoch',
        () => peers.at(source.address).pages('film', 0, 1, 2),
        (pages) => pages.length === 1,
      )
      let lies = 0
      const lie = await lieOf(peers.at(source.address), [...right, ...older])
      const pages = () => {
        lies++
        return lie
      }
      const liar = await ForgedMaster.start(source.address, { pages })
      liars.push(liar)
      const victim = await network.relay('victim', [liar.address, source.address])
      expect((await streamFrom(victim, 'film')).sha256).to.equal(film.sha256)
      expect(lies, 'it was asked').to.be.greaterThan(0)
      await network.stop()
      const alone = await network.relay('victim', ['tcp://127.0.0.1:1'], { chunkDirectory: victim.directory })
      expect((await streamFrom(alone, 'film')).sha256, 'what was kept').to.equal(film.sha256)
    })
  }
})

function altered({ body, signature }: SignedReply): SignedReply {
  const bytes = Buffer.from(body)
  bytes[bytes.length - 10] = (bytes[bytes.length - 10] ?? 0) ^ 1
  return { body: bytes, signature }
}

describe('a stream that is published anew', () => {
  const network = new TestNetwork()
  afterEach(() => network.close())

  it('is served as the new one to those who come after, through relays that hold the old one', async () => {
    const source = await network.source()
    await publishBytes(source.directory, 'film', { count: 10, sizeBytes: 5000 })
    const relay = await network.relay('relay', [source.address])
    await streamFrom(relay, 'film')
    const film = await publishBytes(source.directory, 'film', { count: 12, sizeBytes: 5000, seed: 9, replace: true })
    const { sha256 } = await until(
      'the new film',
      () => streamFrom(relay, 'film'),
      (output) => output.sha256 === film.sha256,
    )
    expect(sha256).to.equal(film.sha256)
    expect(relay.stats().badChunks).to.equal(0)
  })

  it('ends a streamer amid the old one with a failure that says so, not with mixed bytes', async () => {
    const source = await network.source()
    await publishBytes(source.directory, 'film', { count: 400, sizeBytes: 64 * 1024 })
    const relay = await network.relay('relay', [source.address])
    let isReplaced = false
    const failure = await captureFailure(
      streamFrom(relay, 'film', {
        intervalMs: 2,
        onBytes: async () => {
          if (isReplaced) return
          isReplaced = true
          await publishBytes(source.directory, 'film', { count: 400, sizeBytes: 64 * 1024, seed: 5, replace: true })
        },
      }),
    )
    expect(failure.code).to.equal('stream-changed')
  })

  it('appears without a restart when it is new', async () => {
    const source = await network.source()
    const relay = await network.relay('relay', [source.address])
    const missing = await captureFailure(streamFrom(relay, 'late'))
    expect(missing.code).to.equal('not-found')
    await publishBytes(source.directory, 'other', { count: 1, sizeBytes: 1000 })
    const late = await publishBytes(source.directory, 'late', { count: 3, sizeBytes: 1000 })
    expect((await streamFrom(relay, 'late')).sha256).to.equal(late.sha256)
    const named = await captureFailure(streamFrom(relay, 'nothing'))
    expect(named.message).to.include('late').and.include('other')
  })
})

async function flipByte(slabs: string, at: number): Promise<void> {
  const [name = ''] = await readdir(slabs)
  const path = join(slabs, name)
  const bytes = await readFile(path)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(path, bytes)
}

/** A registered relay that claims to hold all of the film and answers with bytes of its own making. */
async function lyingRelay(master: string): Promise<{ server: RpcServer; lies: () => number }> {
  let lies = 0
  const lie = ([, index, options]: unknown[]) => {
    const { count = 1 } = options as { count?: number }
    lies++
    return new WithPayload({ status: 'data', index, count }, [Buffer.alloc(count * 50_000, 0x55)])
  }
  const methods = new Map([
    ['ping', { handle: () => null }],
    ['get', { handle: lie }],
  ])
  const server = new RpcServer({ methods })
  const address = await server.bind('tcp://127.0.0.1:*')
  const peers = new Peers(systemClock)
  const { lease } = await peers.at(master).register({ name: 'liar', address })
  await peers.at(master).report(lease, [{ name: 'film', epoch: 1, have: [[0, 40]], lost: [] }])
  await peers.close()
  return { server, lies: () => lies }
}
