import { spawnSync } from 'node:child_process'
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { VideoDatabase } from '../../lib/store/video-database.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { type NodeProgram, TestPrograms } from '../support/programs.ts'
import { run } from '../support/run.ts'
import { seededBytes } from '../support/seeded.ts'

/** The end of what `split_video` prints: a link with two keys. */
const printedLink = /^tcp:\/\/127\.0\.0\.1:7999\/([\w-]+)#([\w-]{43})\.([\w-]{43})$/m

describe('split_video --encrypt', function () {
  this.timeout(60_000)
  const programs = new TestPrograms()
  const bytes = seededBytes(8, 1_000_000)
  let folder = ''
  let videoData = ''
  let source: NodeProgram
  let relay: NodeProgram
  let key = ''
  let contentKey = ''
  const stream = (fragment: string, ...args: string[]) =>
    run('video_streamer.js', ['--source', `${relay.address}/notes${fragment}`, ...args])
  const publish = async (name: string, ...args: string[]) => {
    const { code, stdout, stderr } = await run('split_video', ['-d', videoData, '-f', name, '--encrypt', ...args])
    expect(stderr).to.equal('')
    expect(code).to.equal(0)
    const [, named, ...keys] = printedLink.exec(stdout.toString()) ?? []
    expect(named).to.equal(name)
    return keys
  }

  before(async () => {
    folder = await makeFolder()
    videoData = join(folder, 'data')
    await writeFile(join(folder, 'notes.dat'), bytes)
    ;[key = '', contentKey = ''] = await publish('notes', '-s', join(folder, 'notes.dat'), '-c', '5k')
    source = await programs.node('source', ['--videodatabase', videoData])
    relay = await programs.node('relay', ['--chunkdirectory', join(folder, 'chunks'), '--master', source.address])
  })
  after(async () => {
    await programs.close()
    await removeFolders()
  })

  it('publishes what the printed link alone decrypts, in chunks that are within -c as stored', async () => {
    const { code, stdout, stderr } = await stream(`#${key}.${contentKey}`)
    expect(stderr).to.equal('')
    expect(code).to.equal(0)
    expect(stdout.equals(bytes)).to.equal(true)

    const media = await readFile(join(videoData, 'notes', 'notes.dat'))
    const chunks = Math.ceil(bytes.length / (5 * 1024 - 16))
    expect(media.length).to.equal(28 + bytes.length + 16 * chunks)
    const database = await VideoDatabase.open(videoData, { create: false })
    const published = await database.find('notes')
    const storedBytes = (await published?.page(0))?.bytesOf(0, 1)
    await database.close()
    expect(storedBytes).to.equal(5 * 1024)
    for (const file of await readdir(join(videoData, 'notes'))) {
      const held = await readFile(join(videoData, 'notes', file))
      for (let at = 0; at + 16 <= bytes.length; at += 5000)
        expect(held.includes(bytes.subarray(at, at + 16)), file).to.equal(false)
    }
  })

  it('says in one sentence that the content key is wrong or missing, and writes nothing', async () => {
    const wrong = `${contentKey.startsWith('A') ? 'B' : 'A'}${contentKey.slice(1)}`
    const path = join(folder, 'refused.dat')
    for (const [fragment, message] of [
      [`#${key}.${wrong}`, /^the content key in the link does not decrypt notes; .*\n$/],
      [`#${key}`, /^notes is encrypted; give --source the whole link .*\n$/],
      ['', /^notes is encrypted; give --source the whole link .*\n$/],
    ] as const) {
      const piped = await stream(fragment)
      expect(piped.stderr).to.match(message).and.not.include(wrong)
      expect(piped.code).to.equal(18)
      expect(piped.stdout.length).to.equal(0)
      const { code } = await stream(fragment, '-o', path)
      expect(code).to.equal(18)
      expect((await stat(path)).size).to.equal(0)
    }
    const malformed = await stream(`#${key}.${contentKey.slice(1)}`)
    expect(malformed.stderr).to.match(/^expected the content key in --source to be 43 letters.*\n$/)
    expect(malformed.stderr).to.not.include(contentKey.slice(1))
    expect(malformed.code).to.equal(2)
  })

  it('leaves --from, --count and --resume as they are, and a copy alone when the key is wrong', async () => {
    const link = `#${key}.${contentKey}`
    const chunk = 5 * 1024 - 16
    const part = await stream(link, '--from', '37', '--count', '5')
    expect(part.stdout.equals(bytes.subarray(37 * chunk, 42 * chunk))).to.equal(true)
    const path = join(folder, 'copy.dat')
    await stream(link, '-o', path, '--count', '40')
    await truncate(path, 30 * chunk + 777)
    const refused = await stream(`#${key}.${key}`, '-o', path, '--resume')
    expect(refused.code).to.equal(18)
    expect((await stat(path)).size).to.equal(30 * chunk + 777)
    const { code, stdout } = await stream(link, '-o', path, '--resume', '--json')
    expect(code).to.equal(0)
    expect(JSON.parse(stdout.toString())).to.include({ bytes: bytes.length - 30 * chunk })
    expect((await readFile(path)).equals(bytes)).to.equal(true)
    const again = await stream(link, '-o', path, '--resume', '--json')
    expect(JSON.parse(again.stdout.toString())).to.include({ chunks: 0, bytes: 0 })
  })

  it('takes the link from the environment, where other users do not see it', async () => {
    const env = { PEERSTREAMER_SOURCE: `${relay.address}/notes#${key}.${contentKey}` }
    const { code, stdout, stderr } = await run('video_streamer.js', [], { env })
    expect(stderr).to.equal('')
    expect(code).to.equal(0)
    expect(stdout.equals(bytes)).to.equal(true)
    const split = await run('split_video', ['-d', videoData, '-s', '-', '-f', 'other', '--encrypt'], {
      env,
      input: Readable.from([bytes]),
    })
    expect(split.code).to.equal(0)
    expect(split.stdout.toString()).to.include(`${relay.address}/other#${key}.`).and.not.include(contentKey)
  })

  it('is listed by a link with a content key or without', async () => {
    for (const fragment of ['', `#${key}`, `#${key}.${contentKey}`]) {
      const { code, stdout } = await run('peerstreamer', ['list', `${relay.address}/notes${fragment}`, '--json'])
      expect(code).to.equal(0)
      expect(stdout.toString()).to.include('"notes"').and.not.include(contentKey)
    }
  })

  it('makes a new content key each time', async () => {
    const keys = await publish('notes-again', '-s', join(folder, 'notes.dat'))
    expect(keys[0]).to.equal(key)
    expect(keys[1]).to.not.equal(contentKey)
  })

  it('publishes a film whose init segment and fragments no disk shows, and that arrives as one that is not encrypted', async () => {
    const film = join(folder, 'film.mp4')
    const lavfi = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=6']
    const { status } = spawnSync('ffmpeg', ['-v', 'error', ...lavfi, '-c:v', 'libx264', '-g', '50', film])
    expect(status).to.equal(0)
    const [, secret] = await publish('film', '-s', film, '-c', '20k')
    await run('split_video', ['-d', videoData, '-f', 'open', '-s', film, '-c', '20k'])
    const open = await readFile(join(videoData, 'open', 'open.mp4'))
    const link = `${relay.address}/film#${key}.${secret}`
    const { stdout } = await run('video_streamer.js', ['--source', link])
    expect(stdout.equals(open)).to.equal(true)
    const late = await run('video_streamer.js', ['--source', link, '--from', '4.5s'])
    const lateOpen = await run('video_streamer.js', ['--source', `${relay.address}/open`, '--from', '4.5s'])
    expect(late.stdout.equals(lateOpen.stdout)).to.equal(true)
    expect(late.stdout.length).to.be.within(1000, open.length - 1000)
    const boxes = ['ftyp', 'moov', 'moof', 'avcC'].map((box) =>
      open.subarray(open.indexOf(box) - 4, open.indexOf(box) + 20),
    )
    expect(boxes.every((box) => box.length === 24)).to.equal(true)
    for (const file of await readdir(join(videoData, 'film'))) {
      const held = await readFile(join(videoData, 'film', file))
      for (const box of boxes) expect(held.includes(box), `${box} in ${file}`).to.equal(false)
    }
  })
})
