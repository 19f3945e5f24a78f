import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.ts'
import { toFailure } from '../../lib/base/errors.ts'
import { Peers } from '../../lib/network/peers.ts'
import { RpcServer, WithPayload } from '../../lib/zerorpc/index.ts'
import { figure, limitMs, note, seed } from '../support/figures.ts'
import { type Published, publishBytes, streamFrom, TestNetwork } from '../support/network.ts'
import { seededChance } from '../support/seeded.ts'
import { until } from '../support/until.ts'

/** What a poisoner gives in the place of chunks; `stale` is what the epoch before had there. */
const kinds = ['flipped', 'swapped', 'cut', 'padded', 'stale', 'silent'] as const
type Kind = (typeof kinds)[number]

const sizeBytes = 96 * 1024
/** Whether the same is measured without lies; a figure to tell, not to judge. */
const isCompared = figure(0, 1) > 0

describe(`one poisoner of four siblings (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  const network = new TestNetwork()
  const servers: RpcServer[] = []
  const peers = new Peers(systemClock)
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close()
    await network.close()
  })
  after(() => peers.close())

  for (const share of [0.01, 0.1, 1]) {
    it(`gets no wrong byte stored or written with ${share * 100} % of its chunks wrong, in six kinds`, async () => {
      const count = Math.ceil(figure(500, 20_000) / kinds.length)
      // Silence costs a wait each time and is told apart.
      const [clean, poisoned] = [
        { silent: 0, others: 0 },
        { silent: 0, others: 0 },
      ]
      let lies = 0
      for (const [round, kind] of kinds.entries()) {
        const which = kind === 'silent' ? 'silent' : 'others'
        if (isCompared) clean[which] += (await stream(kind, 0, count, round)).tookMs
        const seen = await stream(kind, share, count, round)
        poisoned[which] += seen.tookMs
        lies += seen.lies
      }
      if (share === 1) expect(lies, 'it was asked and lied').to.be.greaterThan(0)
      note({
        what: 'poisoned chunks',
        count: count * kinds.length,
        wrong: 0,
        also: {
          share,
          lies,
          ...(isCompared ? { throughputOfClean: Number((clean.others / poisoned.others).toFixed(2)) } : {}),
          ...(isCompared ? { throughputBesideSilence: Number((clean.silent / poisoned.silent).toFixed(2)) } : {}),
        },
      })
    })
  }

  /** Streams a film through a relay with three honest siblings and one that lies about a share of its chunks. */
  async function stream(kind: Kind, share: number, count: number, round: number) {
    const source = await network.source()
    const older = await publishBytes(source.directory, 'film', { count, sizeBytes, seed: seed + round + 100 })
    const options = { count, sizeBytes, seed: seed + round, replace: true }
    const film = await publishBytes(source.directory, 'film', options)
    await until(
      'the newer epoch',
      () => peers.at(source.address).pages('film', 0, 1, 2).catch(toFailure),
      (pages) => !('code' in pages),
    )
    for (const name of ['one', 'two', 'three']) {
      const honest = await network.relay(name, [source.address])
      await peers.at(honest.address).get('film', 0, {})
    }
    const poisoner = await makePoisoner(source.address, { film, older }, kind, share, seed + round)
    const victim = await network.relay('victim', [source.address])
    const startedAt = performance.now()
    const { sha256, summary } = await streamFrom(victim, 'film')
    const tookMs = performance.now() - startedAt
    const what = `${kind}, share ${share}, seed ${seed}`
    expect(sha256, what).to.equal(film.sha256)
    expect(summary.badChunks, `${what}: passed on`).to.equal(0)
    await victim.close()
    const again = await network.relay('victim', [source.address], { chunkDirectory: victim.directory })
    expect((await streamFrom(again, 'film')).sha256, what).to.equal(film.sha256)
    expect(again.stats().badChunks, `${what}: stored`).to.equal(0)
    for (const server of servers.splice(0)) await server.close()
    await network.close()
    return { tookMs, lies: poisoner.lies() }
  }

  /** A registered relay that says it holds the whole film. */
  async function makePoisoner(master: string, epochs: Epochs, kind: Kind, share: number, seed: number) {
    const chance = seededChance(seed)
    const spoils = { ...spoilers, stale: (_: Buffer, first: number, end: number) => bytesOf(epochs.older, first, end) }
    let lies = 0
    const get = ([, first, options]: unknown[]) => {
      const { count = 1 } = options as { count?: number }
      const [from, end] = [Number(first), Number(first) + count]
      const right = bytesOf(epochs.film, from, end)
      const isLie = chance() < 1 - (1 - share) ** count
      if (isLie) lies++
      // A lie of silence is an answer that never comes.
      if (isLie && kind === 'silent') return new Promise(() => {})
      const bytes = isLie && kind !== 'silent' ? spoils[kind](right, from, end, chance) : right
      return new WithPayload({ status: 'data', index: from, count }, [bytes])
    }
    const methods = new Map([
      ['ping', { handle: () => null }],
      ['get', { handle: get }],
    ])
    const server = new RpcServer({ methods })
    servers.push(server)
    const address = await server.bind('tcp://127.0.0.1:*')
    const { lease } = await peers.at(master).register({ name: 'poisoner', address })
    await peers.at(master).report(lease, [{ name: 'film', epoch: 2, have: [[0, epochs.film.chunks.length]], lost: [] }])
    return { lies: () => lies }
  }
})

interface Epochs {
  film: Published
  older: Published
}

function bytesOf({ chunks }: Published, first: number, end: number): Buffer {
  return Buffer.concat(chunks.slice(first, end))
}

/** How the right bytes of some chunks are made wrong. */
const spoilers = {
  flipped: (right: Buffer, _first: number, _end: number, chance: () => number) => {
    const bytes = Buffer.from(right)
    const at = Math.floor(chance() * right.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(chance() * 8))
    return bytes
  },
  swapped: (right: Buffer, _first: number, _end: number, chance: () => number) => {
    const at = 1 + Math.floor(chance() * (right.length - 1))
    return Buffer.concat([right.subarray(at), right.subarray(0, at)])
  },
  cut: (right: Buffer, _first: number, _end: number, chance: () => number) =>
    right.subarray(0, Math.floor(chance() * right.length)),
  padded: (right: Buffer, _first: number, _end: number, chance: () => number) =>
    Buffer.concat([right, right.subarray(0, 1 + Math.floor(chance() * 100))]),
}
