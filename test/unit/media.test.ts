import { join } from 'node:path'
import { expect } from 'chai'
import { createFile, MP4BoxBuffer } from 'mp4box'
import { Failure } from '../../lib/base/errors.ts'
import { makeFilm, probe, remux } from '../../lib/media/ffmpeg.ts'
import { type FragmentEvent, FragmentReader } from '../../lib/media/fragments.ts'
import { checkLimit, planFilm, remuxOptions } from '../../lib/media/track-plan.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { seededChance } from '../support/seeded.ts'

describe('the reading of fragmented MP4', function () {
  this.timeout(30_000)
  let bytes: Buffer
  before(async () => {
    const path = join(await makeFolder(), 'film.mp4')
    await makeFilm(path, { seconds: 5, bitsPerSecond: 400_000 }, new AbortController().signal)
    const plan = planFilm(await probe(path))
    if (!plan) throw new Error('no film')
    const pieces: Buffer[] = []
    for await (const piece of remux(path, remuxOptions(plan, { sizeBytes: 1e6 })).output) pieces.push(piece as Buffer)
    bytes = Buffer.concat(pieces)
  })
  after(removeFolders)

  it('finds the tracks, fragments and times that mp4box finds', () => {
    const file = createFile()
    const buffer = MP4BoxBuffer.fromArrayBuffer(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer,
      0,
    )
    file.appendBuffer(buffer)
    file.flush()
    const oracle = file.getInfo()
    const events = read(bytes, 10_000)
    const init = events.find((event) => event.kind === 'init')
    if (init?.kind !== 'init') throw new Error('no init')
    expect(init.init.tracks.map(({ id, codec, timescale }) => ({ id, codec, timescale }))).to.deep.equal(
      oracle.tracks.map(({ id, codec, timescale }) => ({ id, codec, timescale })),
    )
    const heads = events.flatMap((event) => (event.kind === 'fragment' ? [event.head] : []))
    expect(heads).to.have.length(file.moofs.length)
    for (const { id } of oracle.tracks) {
      const samples = file.getTrackSamplesInfo(id)
      const times = heads.flatMap((head) => head.times.filter(({ track }) => track === id))
      const last = samples.at(-1)
      expect(times[0]?.decodeStart).to.equal(samples[0]?.dts)
      expect(times.at(-1)?.decodeEnd).to.equal((last?.dts ?? 0) + (last?.duration ?? 0))
      expect(Math.min(...times.map(({ presentStart }) => presentStart))).to.equal(
        Math.min(...samples.map(({ cts }) => cts)),
      )
      expect(Math.max(...times.map(({ presentEnd }) => presentEnd))).to.equal(
        Math.max(...samples.map(({ cts, duration }) => cts + duration)),
      )
    }
  })

  it('passes on every byte of init and fragments, whatever the pieces', () => {
    for (const step of [1, 7, 1000, 1e9]) {
      const passed = read(step === 1 ? bytes.subarray(0, 40_000) : bytes, step, step !== 1).flatMap((event) =>
        event.kind === 'fragment' ? [] : [event.bytes],
      )
      const joined = Buffer.concat(passed)
      expect(joined.equals(bytes.subarray(0, joined.length)), `pieces of ${step}`).to.equal(true)
      if (step !== 1) expect(joined.length).to.equal(bytes.length)
    }
  })

  it('takes 2,000 damaged files with typed errors only', () => {
    const chance = seededChance(7)
    const head = bytes.subarray(0, 6000)
    for (let i = 0; i < 2000; i++) {
      const damaged = Buffer.from(head)
      for (let n = 0; n < 3; n++) damaged[Math.floor(chance() * damaged.length)] = Math.floor(chance() * 256)
      try {
        read(damaged, 1500)
      } catch (error) {
        expect(error, `${i}: ${(error as Error).stack}`).to.be.instanceOf(Failure)
      }
    }
  })
})

describe('the plan of a film', () => {
  const format = { format_name: 'mov,mp4', duration: 12.5, probe_score: 100 }
  const video = { index: 0, codec_type: 'video', codec_name: 'h264', disposition: { attached_pic: 0 } }
  const audio = { index: 1, codec_type: 'audio', codec_name: 'aac' }
  const planOf = (streams: object[], changed: object = {}) =>
    planFilm({ format: { ...format, ...changed }, streams } as never)?.tracks.map(({ index, encodeTo }) => [
      index,
      encodeTo,
    ])

  for (const [what, streams, changed, wanted] of [
    [
      'copies what fits',
      [video, audio],
      {},
      [
        [0, undefined],
        [1, undefined],
      ],
    ],
    [
      're-encodes only the track that does not fit',
      [{ ...video, codec_name: 'mpeg2video' }, audio],
      {},
      [
        [0, 'h264'],
        [1, undefined],
      ],
    ],
    [
      're-encodes sound alone where that does not fit',
      [video, { ...audio, codec_name: 'wmav2' }],
      {},
      [
        [0, undefined],
        [1, 'aac'],
      ],
    ],
    [
      'takes no cover for a film',
      [{ ...video, index: 2, disposition: { attached_pic: 1 } }, audio],
      {},
      [[1, undefined]],
    ],
    [
      'takes the first picture and the first sound',
      [audio, { ...audio, index: 5 }, { ...video, index: 7 }],
      {},
      [
        [7, undefined],
        [1, undefined],
      ],
    ],
    ['takes a text for no film', [video], { format_name: 'tty' }, undefined],
    ['takes a picture for no film', [video], { format_name: 'png_pipe' }, undefined],
    ['takes a guess for no film', [audio], { probe_score: 25 }, undefined],
    ['takes nothing for no film', [], {}, undefined],
  ] as [string, object[], object, unknown][]) {
    it(what, () => expect(planOf(streams, changed)).to.deep.equal(wanted))
  }

  it('refuses times for plain bytes, and times too short', () => {
    expect(() => checkLimit({ durationMs: 500 }, 'bytes')).to.throw(Failure, /as a size/)
    expect(() => checkLimit({ durationMs: 5 }, 'fmp4')).to.throw(Failure, /100 ms/)
    expect(() => checkLimit({ durationMs: 500 }, 'fmp4')).to.not.throw()
  })
})

function read(bytes: Buffer, step: number, isWhole = true): FragmentEvent[] {
  const reader = new FragmentReader()
  const events: FragmentEvent[] = []
  for (let at = 0; at < bytes.length; at += step) events.push(...reader.push(bytes.subarray(at, at + step)))
  if (isWhole && bytes.length > 10_000) reader.end()
  return events
}
