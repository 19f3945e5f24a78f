import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { splitAddress } from '../../lib/stream/address.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { publishBytes } from '../support/network.ts'
import { TestPrograms } from '../support/programs.ts'
import { run } from '../support/run.ts'
import { until } from '../support/until.ts'

describe('node.js', function () {
  this.timeout(30_000)
  const programs = new TestPrograms()
  let folder = ''
  beforeEach(async () => {
    folder = await makeFolder()
    await mkdir(join(folder, 'data'))
  })
  afterEach(async () => {
    await programs.close()
    await removeFolders()
  })

  it('binds everywhere with --ip 0.0.0.0 and tells the address under which its master reaches it', async () => {
    const source = await programs.node('source', ['--videodatabase', join(folder, 'data')])
    const relay = await programs.node('relay', [
      ...['--ip', '0.0.0.0', '--chunkdirectory', join(folder, 'chunks'), '--master', source.address],
    ])
    expect(splitAddress(relay.address).host).to.equal('127.0.0.1')
    const { children } = await until(
      'registration',
      () => source.stats(),
      (stats) => stats.children.length === 1,
    )
    expect(children).to.deep.equal([{ name: 'relay', address: relay.address, chunks: 0 }])
  })

  it('says in one sentence why it cannot start, with an exit code, and leaves nothing', async () => {
    const data = join(folder, 'data')
    const source = await programs.node('source', ['--videodatabase', data])
    const { port } = splitAddress(source.address)
    const relay = ['--chunkdirectory', join(folder, 'chunks'), '--master', source.address]
    const running = await programs.node('running', relay)
    await writeFile(join(folder, 'file'), 'a file')
    const wrong: [string[], number, RegExp][] = [
      [['--port', String(port), '--videodatabase', data], 5, /port|in use/],
      [['--port', '0', '--videodatabase', join(folder, 'missing')], 7, /does not exist/],
      [
        ['--port', '0', '--name', 'x', '--chunkdirectory', join(folder, 'file'), '--master', source.address],
        7,
        /not a directory/,
      ],
      [['--port', '0', '--name', 'x', ...relay], 8, /in use by another process/],
      [['--port', '0'], 2, /--videodatabase DIR, or a relay/],
      [['--port', '0', '--videodatabase', data, ...relay], 2, /not both/],
      [['--port', '0', '--name', 'x', '--chunkdirectory', join(folder, 'c')], 2, /--master/],
      [['--port', '0', '--chunkdirectory', join(folder, 'c'), '--master', source.address], 2, /--name/],
      [
        ['--port', '0', '--name', 'x', '--chunkdirectory', join(folder, 'c'), '--master', 'http://x'],
        2,
        /expected --master to be like tcp:/,
      ],
      [
        ['--port', '0', '--name', '../x', '--chunkdirectory', join(folder, 'c'), '--master', source.address],
        2,
        /--name/,
      ],
      [['--port', '70000', '--videodatabase', data], 2, /0 to 65535/],
      [['--port', '0', '--ip', 'nowhere', '--videodatabase', data], 2, /nowhere/],
    ]
    for (const [args, exit, message] of wrong) {
      const { code, stderr, stdout } = await run('node.js', ['--log', 'error', ...args])
      expect(stderr, args.join(' ')).to.match(message)
      expect(stderr.trim().split('\n'), args.join(' ')).to.have.length(1)
      expect(code, args.join(' ')).to.equal(exit)
      expect(stdout.toString(), args.join(' ')).to.equal('')
    }
    expect((await readdir(folder)).sort()).to.deep.equal(['chunks', 'data', 'file'])
    expect((await running.stats()).name, 'the one that runs goes on').to.equal('running')
  })

  it('drains at SIGTERM: ends with 0 within 5 s, and a streamer loses nothing', async () => {
    const film = await publishBytes(join(folder, 'data'), 'film', { count: 500, sizeBytes: 50_000 })
    const source = await programs.node('source', ['--videodatabase', join(folder, 'data')])
    const relay = await programs.node('relay', ['--chunkdirectory', join(folder, 'chunks'), '--master', source.address])
    let tookMs = Number.NaN
    const streamed = await run(
      'video_streamer.js',
      ['--source', relay.address, '-f', 'film', '--interval', '5', '--json', '-o', join(folder, 'out')],
      {
        meanwhile: async () => {
          await until(
            'the stream',
            () => relay.stats(),
            ({ chunksSent }) => chunksSent > 20,
          )
          const startedAt = performance.now()
          relay.program.signal('SIGTERM')
          expect(await relay.program.ended).to.equal(0)
          tookMs = performance.now() - startedAt
        },
      },
    )
    expect(tookMs).to.be.at.most(5000)
    expect(streamed.code).to.equal(0)
    const summary = JSON.parse(streamed.stdout.toString())
    expect(summary.bytes).to.equal(film.sizeBytes)
    expect(summary.bytesByPeer[source.address], 'went on at the master').to.be.greaterThan(0)
  })

  it('shows what it did: list, stats as a table and as JSON', async () => {
    const film = await publishBytes(join(folder, 'data'), 'film', { count: 10, sizeBytes: 1000 })
    const source = await programs.node('source', ['--videodatabase', join(folder, 'data')])
    await run('video_streamer.js', ['--source', source.address, '-f', 'film'])
    const list = await run('peerstreamer', ['list', source.address])
    expect(list.stdout.toString()).to.match(/film\s+.*10/)
    const json = await run('peerstreamer', ['stats', source.address, '--json'])
    const stats = JSON.parse(json.stdout.toString())
    expect(stats).to.deep.include({
      name: 'source',
      role: 'source',
      bytesSent: film.sizeBytes,
      chunksSent: 10,
      badChunks: 0,
    })
    expect(stats).to.include.keys('children', 'bytesReceived', 'chunksReceived', 'bytesFrom')
    expect(Math.abs(stats.wallTimeMs - Date.now()), 'ms between the clocks').to.be.lessThan(60_000)
    expect(stats.bytesFrom).to.have.all.keys('store', 'sibling', 'master', 'supermaster')
    const table = await run('peerstreamer', ['stats', source.address])
    expect(table.stdout.toString()).to.match(/source/)
    const silent = await run('peerstreamer', ['stats', 'tcp://127.0.0.1:1'])
    expect(silent.code).to.equal(6)
  })

  it('takes options from a file and from the environment, a flag before both', async () => {
    const config = join(folder, 'node.yml')
    await writeFile(config, `name: from-file\nvideodatabase: ${join(folder, 'data')}\nport: 0\njson: true\n`)
    const start = (args: string[], env: Record<string, string>) =>
      run('node.js', ['--config', config, '--log', 'error', ...args], {
        env,
        meanwhile: async ({ signal, stdout }) => {
          await until('its first line', stdout, (text) => text.length > 0)
          signal('SIGTERM')
        },
      })
    const nameIn = async (args: string[], env: Record<string, string>) =>
      JSON.parse((await start(args, env)).stdout.toString()).name
    expect(await nameIn([], {})).to.equal('from-file')
    expect(await nameIn([], { PEERSTREAMER_NAME: 'from-environment' })).to.equal('from-environment')
    expect(await nameIn(['--name', 'from-flag'], { PEERSTREAMER_NAME: 'from-environment' })).to.equal('from-flag')
    await writeFile(config, 'prot: 7999\n')
    const wrong = await run('node.js', ['--config', config])
    expect(wrong.code).to.equal(2)
    expect(wrong.stderr).to.match(/unknown option "prot"/)
  })
})
