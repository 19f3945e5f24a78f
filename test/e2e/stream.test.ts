import { spawnSync } from 'node:child_process'
import { readFile, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { expectPromise, judge, readEvents } from '../support/judge.ts'
import { type Published, publishBytes } from '../support/network.ts'
import { type NodeProgram, TestPrograms } from '../support/programs.ts'
import { run } from '../support/run.ts'

describe('video_streamer', function () {
  this.timeout(30_000)
  const programs = new TestPrograms()
  let folder = ''
  let film: Published
  let bytes: Buffer
  let source: NodeProgram
  const stream = (...args: string[]) => run('video_streamer.js', ['--source', source.address, '-f', 'film', ...args])
  before(async () => {
    folder = await makeFolder()
    film = await publishBytes(join(folder, 'data'), 'film', { count: 100, sizeBytes: 20_000 })
    bytes = Buffer.concat(film.chunks)
    source = await programs.node('source', ['--videodatabase', join(folder, 'data')])
  })
  after(async () => {
    await programs.close()
    await removeFolders()
  })

  it('writes the stream to standard output, and nothing else', async () => {
    const { code, stdout, stderr } = await stream()
    expect(stderr).to.equal('')
    expect(code).to.equal(0)
    expect(stdout.equals(bytes)).to.equal(true)
  })

  it('begins where --from says and writes as many chunks as --count says', async () => {
    const { stdout } = await stream('--from', '37', '--count', '5')
    expect(stdout.equals(Buffer.concat(film.chunks.slice(37, 42)))).to.equal(true)
    const { code, stderr } = await stream('--from', '100')
    expect(stderr).to.match(/100/)
    expect(code).to.equal(2)
  })

  it('continues a file behind its last whole chunk with --resume', async () => {
    const path = join(folder, 'copy.bin')
    await stream('-o', path, '--count', '40')
    await truncate(path, 30 * 20_000 + 777)
    const { stdout, code } = await stream('-o', path, '--resume', '--json')
    expect(code).to.equal(0)
    expect(JSON.parse(stdout.toString())).to.include({ chunks: 70, bytes: 70 * 20_000 })
    expect((await readFile(path)).equals(bytes)).to.equal(true)
    const again = await stream('-o', path, '--resume', '--json')
    expect(JSON.parse(again.stdout.toString())).to.include({ chunks: 0 })
    expect((await stat(path)).size).to.equal(bytes.length)
  })

  it('logs every chunk once with --eventlog, also when a copy is continued', async () => {
    const [path, log] = [join(folder, 'logged.bin'), join(folder, 'events.jsonl')]
    await stream('-o', path, '--eventlog', log, '--count', '40')
    await truncate(path, 30 * 20_000 + 777)
    await stream('-o', path, '--eventlog', log, '--resume')
    const events = await readEvents(log)
    const verdict = judge(events, film.chunks)
    expectPromise(verdict, 'a continued copy')
    expect(verdict).to.deep.include({ delivered: 100, from: { [source.address]: 100 } })
    for (const { asked, done } of events) expect(done).to.be.at.least(asked)
  })

  it('keeps the pace of --interval', async () => {
    const { stdout } = await stream('-o', join(folder, 'paced.bin'), '--count', '11', '--interval', '60', '--json')
    const summary = JSON.parse(stdout.toString())
    expect(summary.chunks).to.equal(11)
    expect(summary.seconds).to.be.within(0.6, 1.5)
  })

  it('tells at the end with --json what came from whom', async () => {
    const path = join(folder, 'told.bin')
    const { stdout } = await stream('-o', path, '--json')
    const summary = JSON.parse(stdout.toString())
    expect(summary).to.include({ stream: 'film', chunks: 100, bytes: bytes.length, badChunks: 0, stalls: 0 })
    expect(summary.bytesByPeer).to.deep.equal({ [source.address]: bytes.length })
    expect(summary.seconds).to.be.greaterThan(0)
  })

  it('takes a link, and refuses a stream that another key has signed', async () => {
    const right = await run('video_streamer.js', ['--source', `${source.address}/film#${film.key}`])
    expect(right.stdout.equals(bytes)).to.equal(true)
    const wrong = `${film.key.startsWith('A') ? 'B' : 'A'}${film.key.slice(1)}`
    const refused = await run('video_streamer.js', ['--source', `${source.address}/film#${wrong}`])
    expect(refused.stderr).to.include(film.key).and.to.include(wrong)
    expect(refused.code).to.equal(10)
    expect(refused.stdout.length).to.equal(0)
  })

  it('feeds a player through a pipe, and ends quietly when the player does', async () => {
    const path = join(folder, 'played.bin')
    const { code, stderr } = await stream('--player', `sh -c 'cat > ${path}'`)
    expect(stderr).to.equal('')
    expect(code).to.equal(0)
    expect((await readFile(path)).equals(bytes)).to.equal(true)
    const closed = await stream('--player', 'head -c 100000', '--interval', '20')
    expect(closed.code).to.equal(0)
    expect(closed.stderr).to.equal('')
    const missing = await stream('--player', 'no-such-player-anywhere')
    expect(missing.code).to.equal(12)
    expect(missing.stderr).to.match(/no-such-player-anywhere/)
  })

  it('ends quietly when the reader of its pipe goes away', async () => {
    const program = fileURLToPath(new URL('../../bin/video_streamer.js', import.meta.url))
    const line = `${process.execPath} ${program} --source ${source.address} -f film | head -c 50000 | wc -c; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = spawnSync('bash', ['-c', line], { encoding: 'utf8' })
    expect(stderr).to.equal('')
    expect(stdout.trim().split('\n')).to.deep.equal(['50000', '0'])
  })

  it('names the streams that exist when a name is unknown, and says who does not answer', async () => {
    const unknown = await run('video_streamer.js', ['--source', source.address, '-f', 'nothing'])
    expect(unknown.stderr.trim()).to.equal(`${source.address} knows no stream nothing; it has: film`)
    expect(unknown.code).to.equal(3)
    const silent = await run('video_streamer.js', ['--source', 'tcp://127.0.0.1:1', '-f', 'film'])
    expect(silent.stderr).to.match(/^tcp:\/\/127\.0\.0\.1:1 does not answer.*\n$/)
    expect(silent.code).to.equal(6)
  })

  it('ends at Ctrl-C with the exit code for it', async () => {
    const { code, stderr } = await run(
      'video_streamer.js',
      ['--source', source.address, '-f', 'film', '--interval', '50'],
      {
        meanwhile: async ({ signal, stdout }) => {
          while (stdout().length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
          signal('SIGINT')
        },
      },
    )
    expect(stderr).to.equal('')
    expect(code).to.equal(130)
  })

  it('says what is wrong with its arguments, with exit code 2', async () => {
    const wrong: [string[], RegExp][] = [
      [['--interval', '-5'], /--interval/],
      [['--interval', 'soon'], /--interval/],
      [['--count', '0'], /--count/],
      [['--realtime', '--interval', '5'], /not both/],
      [['--resume'], /--resume/],
      [['--from', 'noon'], /--from/],
      [['--output', 'x', '--player', 'cat'], /not both/],
    ]
    for (const [args, message] of wrong) {
      const { code, stderr } = await stream(...args)
      expect(stderr, args.join(' ')).to.match(message)
      expect(code, args.join(' ')).to.equal(2)
    }
    const nowhere = await stream('-o', join(folder, 'no', 'such', 'folder', 'x'))
    expect(nowhere.code).to.equal(17)
  })
})
