import { Failure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { TrackTimes } from '../stream/records.ts'
import { readBoxHeader } from './boxes.ts'
import { type InitSegment, readInit } from './init-segment.ts'
import { readMoof } from './moof.ts'

/** What is known of a fragment (moof + mdat) when its mdat begins. */
export interface FragmentHead {
  /** Bytes of moof and mdat. */
  sizeBytes: number
  /** Whether a decoder can start here: every video track begins with a sync sample, or there is none. */
  isKeyframe: boolean
  times: TrackTimes[]
}

/** In order: once `init`, then for each fragment its head and its bytes in pieces. */
export type FragmentEvent =
  | { kind: 'init'; bytes: Buffer; init: InitSegment }
  | { kind: 'fragment'; head: FragmentHead }
  | { kind: 'bytes'; bytes: Buffer }

/** A moof is held whole in memory, and so must be of a sane size, bytes. */
const moofBytes = 16 * 1024 * 1024

/** Reads a fragmented MP4 as it comes, in pieces of any size; an mdat is passed through, never held. */
export class FragmentReader {
  #buffer = Buffer.alloc(0)
  #initParts: Buffer[] = []
  #init: InitSegment | undefined
  #moof: { whole: Buffer; head: Omit<FragmentHead, 'sizeBytes'> } | undefined
  #mdatLeft = 0;

  /** Events of the next piece of the file. Throws `bad-format`. */
  *push(piece: Buffer): Iterable<FragmentEvent> {
    let bytes = this.#buffer.length > 0 ? Buffer.concat([this.#buffer, piece]) : piece
    for (;;) {
      if (this.#mdatLeft > 0 && bytes.length > 0) {
        const part = bytes.subarray(0, this.#mdatLeft)
        this.#mdatLeft -= part.length
        bytes = bytes.subarray(part.length)
        yield { kind: 'bytes', bytes: part }
        continue
      }
      const header = readBoxHeader(bytes)
      if (!header) break
      if (header.type === 'mdat') {
        yield* this.#startMdat(header.size)
        this.#mdatLeft = header.size
        continue
      }
      if (header.size > moofBytes)
        throw new Failure('bad-format', `an MP4 box "${header.type}" of ${header.size} bytes is too large`)
      if (bytes.length < header.size) break
      yield* this.#takeBox(header.type, bytes.subarray(0, header.size), header.length)
      bytes = bytes.subarray(header.size)
    }
    this.#buffer = Buffer.from(bytes)
  }

  /** Call at the end of the file. Throws `bad-format` when it ends within a box. */
  end(): void {
    if (this.#buffer.length > 0 || this.#mdatLeft > 0 || this.#moof)
      throw new Failure('bad-format', 'the fragmented MP4 is cut short')
  }

  *#takeBox(type: string, whole: Buffer, headerLength: number): Iterable<FragmentEvent> {
    if (type === 'moof') {
      if (!this.#init) {
        const bytes = Buffer.concat(this.#initParts)
        if (bytes.length > limits.descriptorBytes / 2)
          throw new Failure('over-limit', `an init segment of ${bytes.length} bytes is too large`)
        this.#init = readInit(bytes)
        yield { kind: 'init', bytes, init: this.#init }
      }
      const { tracks, defaults } = this.#init
      const fragments = readMoof(Buffer.from(whole.subarray(headerLength)), defaults)
      const isVideo = (id: number) => tracks.some((track) => track.id === id && track.type === 'video')
      const hasVideo = tracks.some((track) => track.type === 'video')
      const video = fragments.filter((fragment) => isVideo(fragment.times.track) && fragment.samples > 0)
      const isKeyframe = hasVideo ? video.length > 0 && video.every((fragment) => fragment.startsWithSync) : true
      this.#moof = {
        whole: Buffer.from(whole),
        head: { isKeyframe, times: fragments.map((fragment) => fragment.times) },
      }
    } else if (!this.#init) {
      this.#initParts.push(Buffer.from(whole))
    }
    // Boxes between fragments (sidx, styp, free) are not needed: nothing refers to them.
  }

  *#startMdat(size: number): Iterable<FragmentEvent> {
    if (!this.#moof) throw new Failure('bad-format', 'an mdat without a moof: not a fragmented MP4')
    const { whole, head } = this.#moof
    this.#moof = undefined
    yield { kind: 'fragment', head: { ...head, sizeBytes: whole.length + size } }
    yield { kind: 'bytes', bytes: whole }
  }
}
