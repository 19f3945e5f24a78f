import { spawnSync } from 'node:child_process'
import { appendFile, chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.ts'
import type { StreamRow } from '../../lib/network/contract.ts'
import { Peers } from '../../lib/network/peers.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { sha256, streamFrom } from '../support/network.ts'
import { type NodeProgram, TestPrograms } from '../support/programs.ts'
import { type Ended, run } from '../support/run.ts'
import { seededBytes } from '../support/seeded.ts'
import { until } from '../support/until.ts'

describe('peerstreamer publish', function () {
  this.timeout(60_000)
  const programs = new TestPrograms()
  let peers: Peers
  let folder = ''
  let data = ''
  let source: NodeProgram
  beforeEach(async () => {
    folder = await makeFolder()
    data = join(folder, 'data')
    await mkdir(data)
    peers = new Peers(systemClock)
    source = await programs.node('source', ['--videodatabase', data])
  })
  afterEach(async () => {
    await peers.close()
    await programs.close()
    await removeFolders()
  })
  const env = () => ({ XDG_CONFIG_HOME: join(folder, 'config'), TMPDIR: folder })
  const publish = (...args: string[]) =>
    run('peerstreamer', ['publish', ...args, '--to', source.address], { env: env() })
  const rowOf = async (name: string): Promise<StreamRow | undefined> =>
    (await peers.at(source.address).list()).find((row) => row.name === name)

  it('hands a film over, which arrives whole, under a key of its own that it keeps', async () => {
    const path = join(folder, 'film.mp4')
    makeFilm(path)
    const { code, stdout, stderr } = await publish(path, '--name', 'film', '-c', '50k')
    expect(stderr).to.equal('')
    expect(code).to.equal(0)
    const [, link = ''] = stdout.toString().split('\n')
    expect(stdout.toString()).to.match(/^film: \d+ chunks, .* sent\ntcp:.*\/film#[\w-]{43}\n$/)
    const copy = join(folder, 'copy.mp4')
    expect((await run('video_streamer.js', ['--source', link, '-o', copy])).code).to.equal(0)
    expect(await readFile(copy)).to.deep.equal(await readFile(join(data, 'film', 'film.mp4')))
    const key = join(folder, 'config', 'peerstreamer', 'signing.key')
    expect((await stat(key)).mode & 0o777).to.equal(0o600)
    expect(await readdir(data), 'the source signed nothing').to.not.include('.signing.key')
    expect((await readdir(folder)).filter((name) => name.startsWith('peerstreamer-publish'))).to.deep.equal([])

    const again = await publish(path, '-c', '50k', '--replace', '--json')
    expect(JSON.parse(again.stdout.toString()), 'what is there is not sent').to.include({ link, sentChunks: 0 })
  })

  it('refuses a name that is taken, replaces it with --replace, and refuses another key with both keys', async () => {
    const path = join(folder, 'notes.dat')
    await writeFile(path, seededBytes(1, 100_000))
    expect((await publish(path, '--format', 'bytes')).code).to.equal(0)
    const { key = '' } = (await rowOf('notes')) ?? {}
    const taken = await publish(path, '--format', 'bytes')
    expect(taken.code).to.equal(4)
    expect(taken.stderr).to.match(/notes is published already.*--replace/)
    await writeFile(path, seededBytes(2, 100_000))
    const foreign = await publish(path, '--replace', '--format', 'bytes', '--signingkey', join(folder, 'other.key'))
    expect(foreign.code).to.equal(10)
    expect(foreign.stderr)
      .to.include(key)
      .and.match(/signed by [\w-]{43};/)
    const replaced = await publish(path, '--replace', '--format', 'bytes', '--json', '-c', '5k')
    expect(JSON.parse(replaced.stdout.toString())).to.include({
      epoch: 2,
      chunks: 20,
      sentChunks: 20,
      sentBytes: 100_000,
    })
    expect((await streamFrom(source, 'notes')).sha256).to.equal(sha256(seededBytes(2, 100_000)))
  })

  it('goes on with the same line after it was killed, and removes what it left', async () => {
    const path = join(folder, 'large.dat')
    const bytes = seededBytes(1, 60_000_000)
    await writeFile(path, bytes)
    const args = ['publish', path, '--format', 'bytes', '-c', '5k', '--to', source.address]
    const killed = await run('peerstreamer', args, {
      env: env(),
      meanwhile: async ({ signal }) => {
        await until('some chunks', source.stats, ({ chunksReceived }) => chunksReceived > 1000)
        signal('SIGKILL')
      },
    })
    expect(killed.code).to.equal(null)
    expect(await rowOf('large')).to.equal(undefined)
    const { stdout } = await publish(path, '--format', 'bytes', '-c', '5k', '--json')
    const { chunks, sentChunks } = JSON.parse(stdout.toString())
    expect(chunks).to.equal(11719)
    expect(sentChunks).to.be.at.most(chunks - 1000)
    expect((await streamFrom(source, 'large')).sha256).to.equal(sha256(bytes))
    expect((await readdir(folder)).filter((name) => name.startsWith('peerstreamer-publish'))).to.deep.equal([])
  })

  it('keeps a folder published with --watch: what is new, once it no longer grows, and what changed', async () => {
    const films = join(folder, 'films')
    await mkdir(join(films, 'a folder'), { recursive: true })
    await writeFile(join(films, '.hidden'), 'hidden')
    await writeFile(join(films, 'first.bin'), seededBytes(1, 50_000))
    const growing = join(films, 'growing.bin')
    const pieces: Buffer[] = []
    const grow = async () => {
      pieces.push(seededBytes(100 + pieces.length, 1000))
      await appendFile(growing, pieces.at(-1) ?? '')
    }
    await grow()
    const ended = await watching(films, async () => {
      const growAndLook = () => grow().then(() => rowOf('first'))
      await until('the first', growAndLook, (row) => row?.epoch === 1)
      expect(await rowOf('growing'), 'while it grows').to.equal(undefined)
      await published('growing', 1)
      expect((await streamFrom(source, 'growing')).sha256, 'in one piece').to.equal(sha256(Buffer.concat(pieces)))

      await writeFile(join(films, 'first.bin'), seededBytes(3, 60_000))
      await published('first', 2)
      expect((await streamFrom(source, 'first')).sha256).to.equal(sha256(seededBytes(3, 60_000)))
      await rm(growing)
      await writeFile(join(films, 'empty.mp4'), '')
      await writeFile(join(films, 'first.dat'), 'has the name of another')
      await writeFile(join(films, 'last.bin'), seededBytes(4, 1000))
      await published('last', 1)
    })
    expect(ended.code).to.equal(0)
    expect(ended.stderr).to.match(/first\.dat is not published: first\.bin has the name first/)
    const rows = await peers.at(source.address).list()
    expect(rows.map(({ name, epoch }) => `${name} ${epoch}`)).to.deep.equal(['first 2', 'growing 1', 'last 1'])
    const again = await watching(films, async ({ stdout }) => {
      await until(
        'a look at all',
        () => stdout().toString(),
        (text) => text.split('\n').length > 4,
      )
    })
    expect(again.stdout.toString(), 'nothing is sent twice').to.match(
      /^(?:\w+: .*published already as it is\n.*\n){2}$/,
    )
    expect(again.code).to.equal(0)
  })

  it('goes on watching while the source is away', async () => {
    const films = join(folder, 'films')
    await mkdir(films)
    const { port } = new URL(source.address)
    await source.program.stop()
    await writeFile(join(films, 'film.bin'), seededBytes(1, 5000))
    const ended = await watching(films, async ({ stderr }) => {
      await until('a warning', stderr, (text) => /film\.bin: .* does not answer/.test(text), 20_000)
      source = await programs.node('source', ['--videodatabase', data, '--port', port])
      await published('film', 1)
    })
    expect(ended.code).to.equal(0)
  })

  it('says what is wrong in one sentence, with an exit code, and leaves nothing', async () => {
    const file = join(folder, 'notes.dat')
    await writeFile(file, seededBytes(1, 1000))
    const key = join(folder, 'open.key')
    await writeFile(key, `${Buffer.alloc(32, 1).toString('base64url')}\n`)
    await chmod(key, 0o644)
    const relay = await programs.node('relay', ['--chunkdirectory', join(folder, 'c'), '--master', source.address])
    const distant = await programs.node('distant', ['--videodatabase', data, '--ip', '0.0.0.0'])
    const to = ['--to', source.address]
    const wrong: [string[], number, RegExp][] = [
      [[file], 2, /--to tcp:/],
      [[...to], 2, /path|positional|argument/],
      [[file, '--to', 'http://x'], 2, /expected --to to be like tcp:/],
      [[join(folder, 'missing.mp4'), ...to], 2, /there is no such file/],
      [[folder, ...to], 2, /is a folder.*--watch/],
      [[file, '--watch', ...to], 2, /is a file; --watch takes a folder/],
      [[folder, '--watch', '--name', 'x', ...to], 2, /leave out --name/],
      [[file, '--name', '../x', ...to], 2, /--name/],
      [[file, '-c', 'large', ...to], 2, /expected -c/],
      [[file, '-c', '1', ...to], 2, /between 256 bytes and 16m/],
      [[file, '--format', 'fmp4', ...to], 11, /no film/],
      [[file, '--signingkey', key, ...to], 2, /chmod 600/],
      [[file, '--to', relay.address], 16, /relay.*publish to the source/],
      [[file, '--to', distant.address], 16, /--publishers any/],
      [[file, '--to', 'tcp://127.0.0.1:9'], 6, /does not answer/],
    ]
    for (const [args, exit, message] of wrong) {
      const { code, stderr, stdout } = await run('peerstreamer', ['publish', ...args], { env: env() })
      expect(stderr, args.join(' ')).to.match(message)
      expect(stderr.trim().split('\n'), args.join(' ')).to.have.length(1)
      expect(code, args.join(' ')).to.equal(exit)
      expect(stdout.toString()).to.equal('')
    }
    expect((await readdir(data)).filter((name) => !name.startsWith('.'))).to.deep.equal([])
    expect((await readdir(folder)).filter((name) => name.startsWith('peerstreamer-publish'))).to.deep.equal([])
  })

  async function published(name: string, epoch: number): Promise<void> {
    await until(
      `${name} in epoch ${epoch}`,
      () => rowOf(name),
      (row) => row?.epoch === epoch,
      20_000,
    )
  }

  /** Runs `publish --watch` beside `meanwhile`, and ends it by SIGTERM. */
  function watching(
    films: string,
    meanwhile: (program: { stdout(): Buffer; stderr(): string }) => Promise<void>,
  ): Promise<Ended> {
    return run('peerstreamer', ['publish', films, '--watch', '--to', source.address, '--format', 'bytes'], {
      env: env(),
      meanwhile: async (program) => {
        try {
          await meanwhile(program)
        } finally {
          program.signal('SIGTERM')
        }
      },
    })
  }
})

function makeFilm(path: string): void {
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=6']
  const sound = ['-f', 'lavfi', '-i', 'sine=frequency=330:duration=6']
  const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-b:v', '600k', '-c:a', 'aac']
  const { status, stderr } = spawnSync('ffmpeg', ['-v', 'error', ...picture, ...sound, ...encode, path], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
}
