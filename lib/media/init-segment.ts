import { Failure } from '../base/errors.ts'
import type { Track } from '../stream/descriptor.ts'
import { boxesIn, findBox, findPath, withinBoxes } from './boxes.ts'
import { codecOf } from './codecs.ts'
import type { SampleDefaults } from './moof.ts'

export interface InitSegment {
  tracks: Track[]
  /** By track id. */
  defaults: Map<number, SampleDefaults>
}

/** Reads `ftyp` and `moov` of a fragmented MP4. */
export function readInit(init: Buffer): InitSegment {
  return withinBoxes(() => readMoov(init))
}

function readMoov(init: Buffer): InitSegment {
  const moov = findBox(init, 'moov')?.body
  if (!moov) throw new Failure('bad-format', 'an init segment has no moov')
  const tracks = boxesIn(moov).flatMap((box) => (box.type === 'trak' ? readTrack(box.body) : []))
  const defaults = new Map<number, SampleDefaults>()
  for (const { type, body } of boxesIn(findBox(moov, 'mvex')?.body ?? Buffer.alloc(0))) {
    if (type === 'trex')
      defaults.set(body.readUInt32BE(4), { durationTicks: body.readUInt32BE(12), flags: body.readUInt32BE(20) })
  }
  return { tracks, defaults }
}

function readTrack(trak: Buffer): Track[] {
  const header = findBox(trak, 'tkhd')?.body
  const mediaHeader = findPath(trak, 'mdia', 'mdhd')?.body
  const handler = findPath(trak, 'mdia', 'hdlr')?.body.toString('latin1', 8, 12)
  const descriptions = findPath(trak, 'mdia', 'minf', 'stbl', 'stsd')?.body
  if (!header || !mediaHeader || !descriptions)
    throw new Failure('bad-format', 'a track of an init segment lacks a header')
  const [entry] = boxesIn(descriptions.subarray(8))
  if (!entry || (handler !== 'vide' && handler !== 'soun')) return []
  const track = {
    id: header.readUInt32BE(header[0] === 1 ? 20 : 12),
    timescale: mediaHeader.readUInt32BE(mediaHeader[0] === 1 ? 20 : 12),
    codec: codecOf(entry),
  }
  return handler === 'vide'
    ? [{ ...track, type: 'video', width: entry.body.readUInt16BE(24), height: entry.body.readUInt16BE(26) }]
    : [{ ...track, type: 'audio', channels: entry.body.readUInt16BE(16), sampleRate: entry.body.readUInt16BE(24) }]
}
