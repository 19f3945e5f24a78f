import { spawnSync } from 'node:child_process'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { VideoDatabase } from '../../lib/store/video-database.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { TestPrograms } from '../support/programs.ts'
import { run } from '../support/run.ts'
import { seededBytes } from '../support/seeded.ts'
import { until } from '../support/until.ts'

const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=6']
const sound = ['-f', 'lavfi', '-i', 'sine=frequency=330:duration=6']
const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-b:v', '600k']

/** What a film is made with, and which of its tracks must be encoded anew. */
const films: { file: string; make: string[]; reencoded?: 'video' | 'audio' }[] = [
  { file: 'h264-aac.mp4', make: [...picture, ...sound, ...h264, '-c:a', 'aac'] },
  { file: 'h264-aac.mkv', make: [...picture, ...sound, ...h264, '-bf', '2', '-c:a', 'aac'] },
  {
    file: 'vp9-opus.webm',
    make: [...picture, ...sound, '-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-c:a', 'libopus'],
  },
  { file: 'h264-aac.ts', make: [...picture, ...sound, ...h264, '-c:a', 'aac'] },
  { file: 'mpeg2.ts', make: [...picture, ...sound, '-c:v', 'mpeg2video', '-c:a', 'mp2'], reencoded: 'video' },
  { file: 'silent.mp4', make: [...picture, ...h264] },
]

describe('split_video', function () {
  this.timeout(60_000)
  let folder = ''
  let videoData = ''
  before(async () => {
    folder = await makeFolder()
    videoData = join(folder, 'video_data')
  })
  after(removeFolders)

  for (const { file, make, reencoded } of films) {
    it(`publishes ${file} with every frame, in chunks within the limit, and it arrives whole`, async () => {
      const path = join(folder, file)
      ffmpeg([...make, path])
      const name = file.replace('.', '-')
      const { code, stderr, stdout } = await run('split_video', ['-d', videoData, '-s', path, '-c', '50k', '-f', name])
      expect(stderr).to.match(reencoded ? new RegExp(`the ${reencoded} track is .* re-encoded`) : /^$/)
      expect(code).to.equal(0)
      expect(stdout.toString()).to.match(
        new RegExp(`^${name}: \\d+ chunks, .*\\ntcp://127.0.0.1:7999/${name}#[\\w-]{43}\\n$`),
      )
      expect(await largestChunk(videoData, name)).to.be.at.most(50 * 1024)
      const streamed = await streamOf(videoData, name, folder)
      expect(await readFile(streamed)).to.deep.equal(await readFile(join(videoData, name, `${name}.mp4`)))
      expect(framesIn(streamed)).to.equal(framesIn(path))
    })
  }

  it('publishes the sound of a file with a cover picture, and the film of one that has such a picture beside', async () => {
    const cover = join(folder, 'cover.png')
    ffmpeg(['-f', 'lavfi', '-i', 'color=red:size=64x64', '-frames:v', '1', cover])
    ffmpeg([
      ...sound,
      '-i',
      cover,
      '-map',
      '0',
      '-map',
      '1',
      '-c:a',
      'libmp3lame',
      '-c:v',
      'copy',
      '-disposition:v',
      'attached_pic',
      join(folder, 'song.mp3'),
    ])
    ffmpeg([
      ...picture,
      '-i',
      cover,
      '-map',
      '0',
      '-map',
      '1',
      ...h264,
      '-c:v:1',
      'copy',
      '-disposition:v:1',
      'attached_pic',
      join(folder, 'covered.mp4'),
    ])
    for (const [file, types] of [
      ['song.mp3', ['audio']],
      ['covered.mp4', ['video']],
    ] as const) {
      const name = file.replace('.', '-')
      const { code, stderr } = await run('split_video', ['-d', videoData, '-s', join(folder, file), '-f', name])
      expect(stderr).to.equal('')
      expect(code).to.equal(0)
      expect(await trackTypes(videoData, name)).to.deep.equal(types)
    }
    expect(framesIn(join(videoData, 'covered-mp4', 'covered-mp4.mp4'))).to.equal(150)
  })

  it('cuts by time where asked, never beyond', async () => {
    const path = join(folder, 'timed.mp4')
    ffmpeg([...picture, ...sound, ...h264, '-c:a', 'aac', path])
    await run('split_video', ['-d', videoData, '-s', path, '-c', '500ms', '-f', 'timed'])
    const durations = await withStream(videoData, 'timed', async (stream) => {
      const { tracks } = stream.descriptor.fields
      const page = await stream.page(0)
      return Array.from({ length: page.count }, (_, index) => {
        const [times] = page.record(index).times
        const timescale = tracks.find((track) => track.id === times?.track)?.timescale ?? 0
        return times ? ((times.decodeEnd - times.decodeStart) / timescale) * 1000 : Number.NaN
      })
    })
    expect(durations.length).to.be.within(12, 24)
    for (const durationMs of durations) expect(durationMs).to.be.within(1, 501)
  })

  it('streams from a time: from the keyframe before it, so that it plays', async () => {
    const path = await streamOf(videoData, 'timed', folder, ['--from', '4.5s'])
    const args = ['-v', 'error', '-select_streams', 'v:0', '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', path]
    const times = spawnSync('ffprobe', args, { encoding: 'utf8' }).stdout.trim().split('\n').map(Number.parseFloat)
    expect(Math.min(...times)).to.be.within(3.9, 4.2)
    expect(framesIn(path)).to.equal(50)
  })

  it('publishes standard input and any file as bytes', async () => {
    const bytes = seededBytes(4, 300_000)
    const piped = await run('split_video', ['-d', videoData, '-s', '-', '-f', 'piped', '-c', '5k'], {
      input: Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]),
    })
    expect(piped.stderr).to.equal('')
    expect(await readFile(join(videoData, 'piped', 'piped'))).to.deep.equal(bytes)
    await writeFile(join(folder, 'notes.dat'), bytes)
    const { code, stdout } = await run('split_video', [
      '-d',
      videoData,
      '-s',
      join(folder, 'notes.dat'),
      '-c',
      '4096',
      '--json',
    ])
    expect(code).to.equal(0)
    expect(JSON.parse(stdout.toString())).to.include({
      name: 'notes',
      format: 'bytes',
      epoch: 1,
      chunks: 74,
      bytes: 300_000,
    })
  })

  it('refuses a name that is taken, and publishes it anew with --replace', async () => {
    const args = ['-d', videoData, '-s', join(folder, 'notes.dat'), '-f', 'taken', '--format', 'bytes']
    await writeFile(join(folder, 'notes.dat'), seededBytes(5, 1000))
    expect((await run('split_video', args)).code).to.equal(0)
    const refused = await run('split_video', args)
    expect(refused.code).to.equal(4)
    expect(refused.stderr).to.match(/taken is published already.*--replace/)
    const replaced = await run('split_video', [...args, '--replace', '--json'])
    expect(JSON.parse(replaced.stdout.toString())).to.include({ epoch: 2 })
  })

  it('keeps its signing key to the owner, and leaves nothing after Ctrl-C or a wrong input', async () => {
    const database = join(folder, 'fresh')
    // An endless input: it can only end by the signal.
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(65536, 1))
      },
    })
    const { code, stdout } = await run('split_video', ['-d', database, '-s', '-', '-f', 'endless'], {
      input: endless,
      meanwhile: async ({ signal }) => {
        await until(
          'the work to begin',
          () => leftIn(database, 'endless'),
          (names) => names.length > 0,
        )
        signal('SIGINT')
      },
    })
    endless.destroy()
    expect(code).to.equal(130)
    expect(stdout.toString()).to.equal('')
    expect(await leftIn(database, 'endless')).to.deep.equal([])

    const empty = await run('split_video', ['-d', database, '-s', '/dev/null', '-f', 'empty', '--format', 'bytes'])
    expect(empty.code).to.equal(11)
    const broken = join(folder, 'broken.mp4')
    await writeFile(broken, seededBytes(1, 5000))
    const film = await run('split_video', ['-d', database, '-s', broken, '--format', 'fmp4'])
    expect(film.code).to.equal(11)
    expect(film.stderr).to.match(/broken\.mp4 is no film/)
    expect((await readdir(database)).filter((name) => !name.startsWith('.'))).to.deep.equal([])

    await run('split_video', ['-d', database, '-s', broken, '-f', 'fine', '--format', 'bytes'])
    const [key = ''] = (await readdir(database)).filter((name) => name.includes('key'))
    expect((await stat(join(database, key))).mode & 0o777).to.equal(0o600)
  })

  it('says what is wrong with its arguments, with exit code 2', async () => {
    const file = join(folder, 'notes.dat')
    const wrong: [string[], RegExp][] = [
      [['-s', join(folder, 'missing.mp4')], /there is no such file/],
      [['-s', file, '-c', '0'], /-c/],
      [['-s', file, '-c', '20m'], /between 256 bytes and 16m/],
      [['-s', file, '-c', 'large'], /expected -c/],
      [['-s', file, '-f', '../escape'], /name/],
      [['-s', file, '--frobnicate'], /frobnicate/],
      [[], /-s FILE/],
    ]
    for (const [args, message] of wrong) {
      const { code, stderr } = await run('split_video', ['-d', videoData, ...args])
      expect(stderr, args.join(' ')).to.match(message)
      expect(code, args.join(' ')).to.equal(2)
    }
  })
})

async function leftIn(directory: string, name: string): Promise<string[]> {
  return (await readdir(directory).catch(() => [])).filter((one) => one.includes(name))
}

function ffmpeg(args: string[]): void {
  const { status, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-y', ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

function framesIn(path: string): number {
  const args = [
    '-v',
    'error',
    '-count_frames',
    '-select_streams',
    'v:0',
    '-show_entries',
    'stream=nb_read_frames',
    '-of',
    'csv=p=0',
    path,
  ]
  return Number.parseInt(spawnSync('ffprobe', args, { encoding: 'utf8' }).stdout, 10)
}

async function largestChunk(directory: string, name: string): Promise<number> {
  return withStream(directory, name, async (stream) => {
    let largest = 0
    for (let index = 0; index < stream.descriptor.chunkCount; index++)
      largest = Math.max(largest, (await stream.page(index)).bytesOf(index, 1))
    return largest
  })
}

function trackTypes(directory: string, name: string): Promise<string[]> {
  return withStream(directory, name, async ({ descriptor }) => descriptor.fields.tracks.map((track) => track.type))
}

type Stream = NonNullable<Awaited<ReturnType<VideoDatabase['find']>>>

async function withStream<T>(directory: string, name: string, look: (stream: Stream) => Promise<T>): Promise<T> {
  const database = await VideoDatabase.open(directory, { create: false })
  try {
    const stream = await database.find(name)
    if (!stream) throw new Error(`${name} is not published`)
    return await look(stream)
  } finally {
    await database.close()
  }
}

/** Streams through a source in a process of its own, into a file. */
async function streamOf(directory: string, name: string, folder: string, more: string[] = []): Promise<string> {
  const programs = new TestPrograms()
  try {
    const source = await programs.node('source', ['--videodatabase', directory])
    const path = join(folder, `${name}.streamed.mp4`)
    const { code, stderr } = await run('video_streamer.js', [
      '--source',
      source.address,
      '-f',
      name,
      '-o',
      path,
      ...more,
    ])
    expect(stderr).to.equal('')
    expect(code).to.equal(0)
    return path
  } finally {
    await programs.close()
  }
}
