import { Failure } from '../base/errors.ts'
import type { TrackTimes } from '../stream/records.ts'
import { boxesIn, findBox, withinBoxes } from './boxes.ts'

/** What the init segment says of samples for which a fragment says nothing (trex). */
export interface SampleDefaults {
  durationTicks: number
  flags: number
}

/** One track of a fragment. */
export interface TrackFragment {
  times: TrackTimes
  /** Whether its first sample is a sync sample. */
  startsWithSync: boolean
  samples: number
}

const nonSync = 0x10000
/** Samples of one track in one fragment: more than an hour of any track that ffmpeg cuts at `longestFragmentMs`. */
const mostSamples = 1_000_000

/**
 * Reads a moof (ISO/IEC 14496-12, 8.8): per track the decode time (tfdt), where it ends, and least and greatest
 * presentation time.
 */
export function readMoof(moof: Buffer, defaults: ReadonlyMap<number, SampleDefaults>): TrackFragment[] {
  return withinBoxes(() =>
    boxesIn(moof)
      .filter((box) => box.type === 'traf')
      .map((box) => readTraf(box.body, defaults)),
  )
}

function readTraf(traf: Buffer, defaults: ReadonlyMap<number, SampleDefaults>): TrackFragment {
  const header = findBox(traf, 'tfhd')?.body
  const decodeBox = findBox(traf, 'tfdt')?.body
  if (!header || !decodeBox) throw new Failure('bad-format', 'a fragment lacks tfhd or tfdt')
  const track = header.readUInt32BE(4)
  const { durationTicks, flags } = headerDefaults(header, defaults.get(track))
  const decodeStart = decodeTime(decodeBox)
  let decode = decodeStart
  let presentStart = Number.POSITIVE_INFINITY
  let presentEnd = Number.NEGATIVE_INFINITY
  let startsWithSync = true
  let samples = 0
  for (const { type, body } of boxesIn(traf)) {
    if (type !== 'trun') continue
    for (const sample of readTrun(body, durationTicks, flags)) {
      if (samples++ === 0) startsWithSync = (sample.flags & nonSync) === 0
      presentStart = Math.min(presentStart, decode + sample.offsetTicks)
      presentEnd = Math.max(presentEnd, decode + sample.offsetTicks + sample.durationTicks)
      decode += sample.durationTicks
    }
  }
  if (samples === 0) [presentStart, presentEnd] = [decodeStart, decodeStart]
  return { times: { track, decodeStart, decodeEnd: decode, presentStart, presentEnd }, startsWithSync, samples }
}

function headerDefaults(tfhd: Buffer, fallback: SampleDefaults | undefined): SampleDefaults {
  const flags = tfhd.readUInt32BE(0) & 0xffffff
  // Optional fields stand in this order: base offset, description index, duration, size, flags.
  let at = 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0)
  const durationTicks = flags & 0x8 ? tfhd.readUInt32BE(at) : (fallback?.durationTicks ?? 0)
  at += (flags & 0x8 ? 4 : 0) + (flags & 0x10 ? 4 : 0)
  return { durationTicks, flags: flags & 0x20 ? tfhd.readUInt32BE(at) : (fallback?.flags ?? 0) }
}

function decodeTime(tfdt: Buffer): number {
  const time = tfdt[0] === 1 ? tfdt.readBigUInt64BE(4) : BigInt(tfdt.readUInt32BE(4))
  // Beyond 2^53 a number is not exact, and neither browsers nor this code could tell two samples apart.
  if (time >= 2n ** 53n) throw new Failure('bad-format', `a fragment starts at the impossible time ${time}`)
  return Number(time)
}

interface Sample {
  durationTicks: number
  flags: number
  /** Composition offset. */
  offsetTicks: number
}

function* readTrun(trun: Buffer, durationTicks: number, defaultFlags: number): Iterable<Sample> {
  const version = trun[0]
  const flags = trun.readUInt32BE(0) & 0xffffff
  const count = trun.readUInt32BE(4)
  let at = 8 + (flags & 0x1 ? 4 : 0)
  const firstFlags = flags & 0x4 ? trun.readUInt32BE(at) : undefined
  at += flags & 0x4 ? 4 : 0
  const sampleBytes = [0x100, 0x200, 0x400, 0x800].filter((bit) => flags & bit).length * 4
  // Without a field per sample nothing but the header says how many there are.
  if (at + count * sampleBytes > trun.length || count > mostSamples)
    throw new Failure('bad-format', 'a fragment names more samples than it describes')
  for (let i = 0; i < count; i++) {
    const sample: Sample = { durationTicks, flags: (i === 0 ? firstFlags : undefined) ?? defaultFlags, offsetTicks: 0 }
    if (flags & 0x100) {
      sample.durationTicks = trun.readUInt32BE(at)
      at += 4
    }
    at += flags & 0x200 ? 4 : 0
    if (flags & 0x400) {
      sample.flags = trun.readUInt32BE(at)
      at += 4
    }
    if (flags & 0x800) {
      sample.offsetTicks = version === 0 ? trun.readUInt32BE(at) : trun.readInt32BE(at)
      at += 4
    }
    yield sample
  }
}
