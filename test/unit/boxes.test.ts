import { join } from 'node:path'
import { expect } from 'chai'
import { createFile, type ISOFile, MP4BoxBuffer } from 'mp4box'
import { Failure } from '../../lib/base/errors.ts'
import { boxesIn, findPath, readBoxHeader } from '../../lib/media/boxes.ts'
import { codecOf } from '../../lib/media/codecs.ts'
import { makeFilm, probe, remux } from '../../lib/media/ffmpeg.ts'
import { type FragmentEvent, FragmentReader } from '../../lib/media/fragments.ts'
import { type InitSegment, readInit } from '../../lib/media/init-segment.ts'
import { readMoof } from '../../lib/media/moof.ts'
import { planFilm, remuxOptions } from '../../lib/media/track-plan.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { seededChance } from '../support/seeded.ts'

describe('the header of a box', () => {
  it('has a size of 32 or 64 bits', () => {
    expect(readBoxHeader(header(100, 'free'))).to.deep.equal({ type: 'free', size: 100, length: 8 })
    expect(readBoxHeader(header(1, 'mdat', 2n ** 40n))).to.deep.equal({ type: 'mdat', size: 2 ** 40, length: 16 })
  })

  it('is awaited until all of it is there', () => {
    for (let length = 0; length < 8; length++)
      expect(readBoxHeader(header(100, 'free').subarray(0, length)), `${length} bytes`).to.equal(undefined)
    for (let length = 8; length < 16; length++)
      expect(readBoxHeader(header(1, 'mdat', 100n).subarray(0, length)), `${length} bytes`).to.equal(undefined)
  })

  it('is refused when no box can have its size', () => {
    for (const size of [0, 2, 7]) expect(codeOf(() => readBoxHeader(header(size, 'free')))).to.equal('bad-format')
    for (const size of [0n, 15n, 2n ** 53n, 2n ** 64n - 1n])
      expect(
        codeOf(() => readBoxHeader(header(1, 'free', size))),
        String(size),
      ).to.equal('bad-format')
  })
})

describe('the boxes of a film', function () {
  this.timeout(30_000)
  let bytes: Buffer
  let oracle: ISOFile
  let init: InitSegment
  /** Where top-level boxes begin, and the end of the last. */
  let borders: number[]
  before(async () => {
    bytes = await makeFragments()
    oracle = parsedByMp4box(bytes)
    init = readInit(bytes)
    borders = [0]
    for (const { whole } of boxesIn(bytes)) borders.push((borders.at(-1) ?? 0) + whole.length)
  })
  after(removeFolders)

  it('are those that mp4box finds', () => {
    const wanted = oracle.boxes.map(({ type, size, start }) => ({ type, size, start }))
    const found = boxesIn(bytes).map(({ type, whole }, i) => ({ type, size: whole.length, start: borders[i] }))
    expect(found).to.deep.equal(wanted)
  })

  it('are found by a path, or not at all', () => {
    const moov = findPath(bytes, 'moov')
    expect(findPath(bytes, 'moov', 'mvex', 'trex')?.whole.length).to.equal(32)
    expect(moov && findPath(moov.body, 'trak', 'mdia', 'nope')).to.equal(undefined)
    expect(findPath(bytes, 'nope', 'trak')).to.equal(undefined)
  })

  it('describe the tracks as mp4box does', () => {
    const wanted = oracle.getInfo().tracks.map(({ id, codec, timescale, video, audio }) => ({
      id,
      codec,
      timescale,
      ...(video && { type: 'video', ...video }),
      ...(audio && { type: 'audio', channels: audio.channel_count, sampleRate: audio.sample_rate }),
    }))
    expect(wanted).to.have.length(2)
    expect(init.tracks).to.have.deep.members(wanted)
  })

  it('give each fragment the samples and times that mp4box gives it', () => {
    const heads = read(bytes).flatMap((event) => (event.kind === 'fragment' ? [event.head] : []))
    const moofs = boxesIn(bytes).filter((box) => box.type === 'moof')
    expect(heads.length).to.equal(moofs.length).and.to.be.at.least(2)
    for (const [i, moof] of moofs.entries()) {
      for (const { times, samples, startsWithSync } of readMoof(moof.body, init.defaults)) {
        const wanted = oracle.getTrackSamplesInfo(times.track).filter(({ moof_number: number }) => number === i + 1)
        const [first, last] = [wanted[0], wanted.at(-1)]
        expect({ samples, startsWithSync, ...times }).to.deep.equal({
          samples: wanted.length,
          startsWithSync: first?.is_sync,
          track: times.track,
          decodeStart: first?.dts,
          decodeEnd: (last?.dts ?? 0) + (last?.duration ?? 0),
          presentStart: Math.min(...wanted.map(({ cts }) => cts)),
          presentEnd: Math.max(...wanted.map(({ cts, duration }) => cts + duration)),
        })
        expect(heads[i]?.times).to.deep.include(times)
      }
    }
  })

  it('are refused when the film is cut off within one, and only then', () => {
    const types = boxesIn(bytes).map(({ type }) => type)
    const cuts = new Set([...borders, ...Array.from({ length: 400 }, (_, i) => Math.floor((i * bytes.length) / 400))])
    for (const cut of cuts) {
      const border = borders.indexOf(cut)
      // A moof whose mdat did not come is no fragment.
      const isWhole = border === 0 || (border > 0 && types[border - 1] !== 'moof')
      expect(
        codeOf(() => read(bytes.subarray(0, cut))),
        `cut at ${cut}`,
      ).to.equal(isWhole ? undefined : 'bad-format')
    }
  })

  for (const type of ['tkhd', 'mdhd', 'stsd', 'trex', 'tfhd', 'tfdt', 'trun'])
    it(`give a value or a failure when a ${type} is too short for its fields`, () => {
      const isOfMoof = type.startsWith('t') && findPath(bytes, 'moof', 'traf', type) !== undefined
      const whole = findPath(bytes, isOfMoof ? 'moof' : 'moov')?.whole ?? Buffer.alloc(0)
      let refused = 0
      for (let keep = 0; keep < 40; keep++) {
        const short = shortened(whole, type, keep)
        const work = isOfMoof ? () => readMoof(short.subarray(8), init.defaults) : () => readInit(short)
        const code = codeOf(work)
        expect(code, `${keep} bytes`).to.be.oneOf([undefined, 'bad-format'])
        if (code) refused++
      }
      expect(refused, 'times refused').to.be.above(0)
    })

  it('give a value or a failure when 2,000 films are damaged', () => {
    const chance = seededChance(11)
    const headBytes = borders[3] ?? 0
    let refused = 0
    for (let i = 0; i < 2000; i++) {
      const damaged = Buffer.from(bytes)
      const changes = 1 + Math.floor(chance() * 4)
      for (let n = 0; n < changes; n++) damaged[Math.floor(chance() * headBytes)] = Math.floor(chance() * 256)
      const code = codeOf(() => read(damaged))
      expect(code, `film ${i}`).to.be.oneOf([undefined, 'bad-format', 'over-limit'])
      if (code) refused++
    }
    expect(refused, 'some are so damaged that they are refused').to.be.within(100, 1900)
  })
})

describe('the codec of a sample entry', () => {
  // ES descriptor, decoder config descriptor (object type 40) and what is specific to AAC-LC.
  const esds = '00000000031600010004114015000000000000000000000005021210'
  const visual = (type: string, config: string, hex: string) => ({ type, head: 78, config, hex })
  for (const [wanted, { type, head, config, hex }] of [
    ['avc1.64001f', visual('avc1', 'avcC', '0164001fffe1')],
    ['hvc1.1.6.L93.b0', visual('hvc1', 'hvcC', '010160000000b000000000005d')],
    ['vp09.02.10.10', visual('vp09', 'vpcC', '01000000020aa0')],
    ['av01.0.04M.08', visual('av01', 'av1C', '81040c00')],
    ['mp4a.40.2', { type: 'mp4a', head: 28, config: 'esds', hex: esds }],
    ['opus', { type: 'Opus', head: 28, config: 'dOps', hex: '00' }],
  ] as [string, ReturnType<typeof visual>][]) {
    it(`is read as ${wanted}, and of a config that is cut short a value or a failure comes`, () => {
      const body = Buffer.from(hex, 'hex')
      const entry = (keep: number) => {
        const cut = Buffer.concat([Buffer.alloc(head), boxOf(config, body.subarray(0, keep))])
        return { type, body: cut, whole: boxOf(type, cut) }
      }
      expect(codecOf(entry(body.length))).to.equal(wanted)
      for (let keep = 0; keep < body.length; keep++)
        expect(
          codeOf(() => codecOf(entry(keep))),
          `${keep} bytes`,
        ).to.be.oneOf([undefined, 'bad-format'])
    })
  }
})

/** The code of the failure that `work` ends with, undefined when it ends well; another exception is an error of the test. */
function codeOf(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    if (error instanceof Failure) return error.code
    throw error
  }
}

function header(size: number, type: string, large?: bigint): Buffer {
  const bytes = Buffer.alloc(large === undefined ? 8 : 16)
  bytes.writeUInt32BE(size)
  bytes.write(type, 4, 'latin1')
  if (large !== undefined) bytes.writeBigUInt64BE(large, 8)
  return bytes
}

function boxOf(type: string, body: Buffer): Buffer {
  return Buffer.concat([header(8 + body.length, type), body])
}

const containers = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl', 'mvex', 'moof', 'traf'])

/** The boxes in `bytes`, those of `type` with only the first `keep` bytes of what they hold. */
function shortened(bytes: Buffer, type: string, keep: number): Buffer {
  return Buffer.concat(
    boxesIn(bytes).map((box) => {
      if (containers.has(box.type)) return boxOf(box.type, shortened(box.body, type, keep))
      return box.type === type ? boxOf(type, box.body.subarray(0, keep)) : box.whole
    }),
  )
}

function read(bytes: Buffer): FragmentEvent[] {
  const reader = new FragmentReader()
  const events = [...reader.push(bytes)]
  reader.end()
  return events
}

async function makeFragments(): Promise<Buffer> {
  const path = join(await makeFolder(), 'film.mp4')
  await makeFilm(path, { seconds: 3, bitsPerSecond: 100_000 }, new AbortController().signal)
  const plan = planFilm(await probe(path))
  if (!plan) throw new Error('no film')
  const pieces: Buffer[] = []
  for await (const piece of remux(path, remuxOptions(plan, { sizeBytes: 1e6 })).output) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

function parsedByMp4box(bytes: Buffer): ISOFile {
  const file = createFile()
  file.appendBuffer(MP4BoxBuffer.fromArrayBuffer(new Uint8Array(bytes).buffer, 0))
  file.flush()
  return file
}
