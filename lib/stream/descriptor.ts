import { decode, encode } from '@msgpack/msgpack'
import * as v from 'valibot'
import { Failure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { initOverheadBytes, tagBytes } from './content.ts'
import { parseName } from './names.ts'
import { checkSeal, type Signed, type SignedKind, seal } from './signed.ts'
import { type PublicKey, type Signer, Verifier } from './signing.ts'
import { type StreamKey, streamIdOf, streamKeyOf } from './stream-key.ts'

const kind: SignedKind = 'descriptor'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const bytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array)

const trackSchema = v.object({
  id: count,
  type: v.picklist(['video', 'audio']),
  /** RFC 6381 codec string, such as `avc1.64001f`. */
  codec: v.pipe(v.string(), v.maxLength(100)),
  /** Ticks a second. */
  timescale: count,
  width: v.optional(count),
  height: v.optional(count),
  sampleRate: v.optional(count),
  channels: v.optional(count),
})

const fieldsSchema = v.object({
  name: v.string(),
  publicKey: bytes,
  /** Grows when the name is published again; counts from 1. */
  epoch: v.pipe(count, v.minValue(1)),
  kind: v.picklist(['on-demand', 'live']),
  format: v.picklist(['fmp4', 'bytes']),
  /** Ending of the media file, such as `mp4`; empty when it has none. */
  ending: v.pipe(v.string(), v.regex(/^[A-Za-z0-9]{0,16}$/)),
  /** The init segment; empty for `bytes`. Of an encrypted stream: nonce, ciphertext and tag. */
  init: bytes,
  /** Whether init segment and chunks are encrypted; left out when not. */
  encrypted: v.optional(v.boolean()),
  tracks: v.pipe(v.array(trackSchema), v.maxLength(16)),
  /** For on-demand: how many chunks there are, their bytes as stored and without the init segment, and how long they play (0 for `bytes`). */
  chunkCount: count,
  chunkBytes: count,
  durationMs: v.pipe(v.number(), v.minValue(0)),
  /** Records in every page but the last, so that the page of a chunk is found by division. */
  pageRecords: v.pipe(count, v.minValue(1), v.maxValue(limits.pageRecords)),
})

export type Track = v.InferOutput<typeof trackSchema>
export type DescriptorFields = v.InferOutput<typeof fieldsSchema>

/** The signed head of a stream. Exists only after its signature was checked or made here. */
export class Descriptor {
  readonly signed: Signed
  readonly fields: DescriptorFields
  readonly publicKey: PublicKey
  readonly streamId: Buffer
  /** Stream id and epoch. */
  readonly stream: StreamKey
  readonly verifier: Verifier

  private constructor(signed: Signed, fields: DescriptorFields) {
    this.signed = signed
    this.fields = fields
    this.publicKey = Buffer.from(fields.publicKey)
    this.streamId = streamIdOf(fields.publicKey, fields.name)
    this.stream = streamKeyOf(this.streamId, fields.epoch)
    this.verifier = new Verifier(fields.publicKey)
  }

  static make(fields: Omit<DescriptorFields, 'publicKey'>, signer: Signer): Descriptor {
    const whole = { ...fields, publicKey: signer.publicKey }
    return new Descriptor(seal(kind, encode(whole, { ignoreUndefined: true }), signer), whole)
  }

  /** Checks form and signature. Whether the key is the right one for the name is the caller's to check. */
  static open(signed: Signed): Descriptor {
    if (signed.body.length > limits.descriptorBytes) {
      throw new Failure(
        'over-limit',
        `expected a descriptor of at most ${limits.descriptorBytes} bytes, got ${signed.body.length}`,
      )
    }
    const fields = decodeFields(signed.body)
    const descriptor = new Descriptor(signed, fields)
    checkSeal(kind, signed, descriptor.verifier, fields.name)
    return descriptor
  }

  get name(): string {
    return this.fields.name
  }

  get epoch(): number {
    return this.fields.epoch
  }

  get init(): Uint8Array {
    return this.fields.init
  }

  get isEncrypted(): boolean {
    return this.fields.encrypted === true
  }

  get chunkCount(): number {
    return this.fields.chunkCount
  }

  /** Bytes of the media file: init segment and chunks. */
  get mediaBytes(): number {
    return this.fields.init.length + this.fields.chunkBytes
  }

  /** Bytes of a run at most: what plays in `limits.runMs` on average, within `limits.firstRunBytes` and `limits.runBytes`; see runs.ts. */
  get runBytes(): number {
    const { chunkBytes, durationMs } = this.fields
    if (durationMs === 0) return limits.runBytes
    const played = Math.ceil((chunkBytes / durationMs) * limits.runMs)
    return Math.min(limits.runBytes, Math.max(limits.firstRunBytes, played))
  }

  /** Where chunk `index`, which begins at `mediaOffset` in the media file, begins in the output: that holds no nonces and tags. */
  outputOffset(index: number, mediaOffset: number): number {
    return this.isEncrypted ? mediaOffset - initOverheadBytes - index * tagBytes : mediaOffset
  }

  /** Index of the first chunk of the page that holds chunk `index`. */
  pageStart(index: number): number {
    return index - (index % this.fields.pageRecords)
  }
}

function decodeFields(body: Uint8Array): DescriptorFields {
  try {
    const value = decode(body, {
      maxArrayLength: 64,
      maxMapLength: 64,
      maxStrLength: 1024,
      maxBinLength: limits.descriptorBytes,
    })
    const fields = v.parse(fieldsSchema, value)
    parseName(fields.name)
    if (fields.encrypted && fields.init.length < initOverheadBytes)
      throw new Failure('bad-format', 'an encrypted stream has no init segment to try a key on')
    return fields
  } catch (cause) {
    throw new Failure('bad-format', 'a descriptor does not have the form it should have', { cause })
  }
}
