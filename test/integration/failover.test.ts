import { join } from 'node:path'
import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.ts'
import { Peers } from '../../lib/network/peers.ts'
import { splitAddress } from '../../lib/stream/address.ts'
import { makeFolder } from '../support/folders.ts'
import { ForgedMaster } from '../support/forged-master.ts'
import { publishBytes, streamFrom, TestNetwork } from '../support/network.ts'
import { TestPrograms } from '../support/programs.ts'
import { until } from '../support/until.ts'

describe('a relay that loses its master', () => {
  const network = new TestNetwork()
  const programs = new TestPrograms()
  const peers = new Peers(systemClock)
  after(() => peers.close())
  afterEach(async () => {
    await network.close()
    await programs.close()
  })

  for (const [signal, what] of [
    ['SIGKILL', 'is killed'],
    ['SIGSTOP', 'hangs'],
  ] as const) {
    it(`goes on at the supermaster within 2 s when the master ${what}, shares there, and returns`, async function () {
      this.timeout(60_000)
      const source = await network.source()
      const film = await publishBytes(source.directory, 'film', { count: 240, sizeBytes: 128 * 1024 })
      const directory = join(await makeFolder(), 'mit')
      const relayArgs = ['--chunkdirectory', directory, '--master', source.address]
      const mit = await programs.node('mit', relayArgs)
      const options = { returnStableMs: 400 }
      const ben = await network.relay('ben', [mit.address], options)
      const alyssa = await network.relay('alyssa', [mit.address], options)
      await until(
        'registration',
        () => mit.stats(),
        ({ children }) => children.length === 2,
      )

      let sentBefore = 0
      let broken = false
      const breakMaster = (soFar: number) => {
        if (broken || soFar < film.sizeBytes / 4) return
        broken = true
        sentBefore = source.stats().bytesSent
        mit.program.signal(signal)
      }
      // Slow readers: most of the film is still to come when the master goes.
      const paced = { intervalMs: 15, onBytes: breakMaster }
      const outputs = await Promise.all([streamFrom(ben, 'film', paced), streamFrom(alyssa, 'film', paced)])
      for (const { sha256, summary } of outputs) {
        expect(sha256).to.equal(film.sha256)
        expect(summary.longestStallMs).to.be.at.most(2000)
      }
      expect([ben.stats().master, alyssa.stats().master]).to.deep.equal([source.address, source.address])
      expect(ben.stats().bytesFrom.supermaster + alyssa.stats().bytesFrom.supermaster).to.be.greaterThan(0)
      const sibling = ben.stats().bytesFrom.sibling + alyssa.stats().bytesFrom.sibling
      expect(sibling, 'siblings share').to.be.greaterThan(0)
      const sentAfter = source.stats().bytesSent - sentBefore
      expect(sentAfter / film.sizeBytes, 'copies after the failure').to.be.at.most(1.1)

      if (signal === 'SIGSTOP') mit.program.signal('SIGCONT')
      else {
        await mit.program.ended
        await programs.node('mit', [...relayArgs, '--port', String(splitAddress(mit.address).port)])
      }
      for (const relay of [ben, alyssa]) {
        await until(
          'the return',
          () => relay.stats().master,
          (master) => master === mit.address,
          15_000,
        )
      }
    })
  }

  it('goes up a chain of any depth, learnt from its masters', async function () {
    this.timeout(60_000)
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 120, sizeBytes: 64 * 1024 })
    const folder = await makeFolder()
    const relay = (name: string, master: string) =>
      programs.node(name, ['--chunkdirectory', join(folder, name), '--master', master])
    const one = await relay('one', source.address)
    const two = await relay('two', one.address)
    const three = await relay('three', two.address)
    const leaf = await network.relay('leaf', [three.address])
    await until(
      'the chain',
      () => three.stats(),
      ({ children }) => children.length === 1,
    )
    const killed = [three, two, one]
    const output = await streamFrom(leaf, 'film', {
      intervalMs: 20,
      onBytes: (soFar) => {
        const [next] = killed
        if (!next || soFar < film.sizeBytes / (killed.length + 1.5)) return
        next.program.signal('SIGKILL')
        killed.shift()
      },
    })
    expect(killed).to.have.length(0)
    expect(output.sha256).to.equal(film.sha256)
    await until(
      'the source as master',
      () => leaf.stats().master,
      (master) => master === source.address,
    )
  })

  it('serves what it holds to newcomers when no master answers, and lists it', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 20, sizeBytes: 5000 })
    const before = await network.relay('relay', [source.address])
    await streamFrom(before, 'film')
    await network.stop()
    const alone = await network.relay('relay', [source.address], { chunkDirectory: before.directory })
    const { sha256, summary } = await streamFrom(alone, 'film')
    expect(sha256).to.equal(film.sha256)
    expect(summary.longestStallMs).to.be.at.most(2000)
    expect((await peers.at(alone.address).list({ timeoutMs: 3000 })).map(({ name }) => name)).to.deep.equal(['film'])
  })

  it('serves what it holds to newcomers when its master answers pings and nothing else', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 20, sizeBytes: 5000 })
    const before = await network.relay('relay', [source.address])
    await streamFrom(before, 'film')
    await network.stop()
    const never = () => new Promise(() => {})
    const mute = await ForgedMaster.start(source.address, { describe: never, list: never, pages: never })
    const relay = await network.relay('relay', [mute.address], { chunkDirectory: before.directory })
    await until(
      'registration',
      () => relay.stats().master,
      (master) => master === mute.address,
    )
    expect((await streamFrom(relay, 'film')).sha256).to.equal(film.sha256)
    expect((await peers.at(relay.address).list({ timeoutMs: 3000 })).map(({ name }) => name)).to.deep.equal(['film'])
    await relay.close()
    await mute.close()
  })

  it('waits for a master that is not up yet', async () => {
    const folder = await makeFolder()
    const before = await network.source()
    const film = await publishBytes(before.directory, 'film', { count: 5, sizeBytes: 1000 })
    const { port } = splitAddress(before.address)
    await before.close()
    const relay = await network.relay('relay', [before.address], { chunkDirectory: join(folder, 'chunks') })
    expect(relay.stats().master).to.equal(null)
    const source = await network.source({ port, videoDatabase: before.directory })
    await until(
      'registration',
      () => relay.stats().master,
      (master) => master === source.address,
    )
    expect((await streamFrom(relay, 'film')).sha256).to.equal(film.sha256)
  })
})
