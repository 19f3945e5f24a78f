import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { limitMs, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { publishBytes, streamFrom, TestNetwork } from '../support/network.ts'
import { TestPrograms } from '../support/programs.ts'
import { until } from '../support/until.ts'
import { Viewer } from '../support/viewer.ts'

const jumpingClock = fileURLToPath(new URL('../support/jumping-clock.mjs', import.meta.url))

describe(`time and names (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  const network = new TestNetwork()
  const programs = new TestPrograms()
  afterEach(async () => {
    await programs.close()
    await network.close()
    await removeFolders()
  })

  it('a wall clock that jumps by days changes nothing: no lease is lost, no chunk is late', async () => {
    const folder = await makeFolder()
    const film = await publishBytes(join(folder, 'data'), 'film', { count: 200, sizeBytes: 96 * 1024, seed })
    const env = { NODE_OPTIONS: `--import ${jumpingClock}` }
    const source = await programs.node('source', ['--videodatabase', join(folder, 'data')], { env })
    const args = ['--chunkdirectory', join(folder, 'chunks'), '--master', source.address]
    const relay = await programs.node('relay', args, { env })
    const viewer = new Viewer(programs, { address: relay.address, film: 'film', folder, intervalMs: 10, env })
    const { longestGapMs } = await viewer.verdict(film, `seed ${seed}`)
    expect(longestGapMs).to.be.at.most(1000)
    expect(relay.program.errors, 'what the relay had to tell').to.equal('')
    expect(source.program.errors, 'what the source had to tell').to.equal('')
    expect((await source.stats()).children).to.have.length(1)
  })

  it('two relays of one name: the newest has the lease, the older is told, both give what is asked of them', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 60, sizeBytes: 32 * 1024, seed })
    const older = await network.relay('twin', [source.address])
    await until(
      'the first registration',
      () => source.stats().children,
      (children) => children.some(({ address }) => address === older.address),
    )
    const newer = await network.relay('twin', [source.address])
    await until(
      'the second registration',
      () => source.stats().children,
      (children) => children.length === 1 && children[0]?.address === newer.address,
    )
    const outputs = await Promise.all([streamFrom(older, 'film'), streamFrom(newer, 'film')])
    for (const { sha256 } of outputs) expect(sha256).to.equal(film.sha256)
  })
})
