import { decode, encode } from '@msgpack/msgpack'
import { Failure } from '../base/errors.ts'
import { checkNesting } from './nesting.ts'

/** A message id as it came: the answer must echo it with the same msgpack type. */
export type MessageId = string | Uint8Array

/** One zerorpc v3 event: msgpack of [header, name, args]. */
export interface Event {
  header: Header
  name: string
  /** An array for everything but `STREAM` and `STREAM_DONE`, whose value stands unwrapped. */
  args: unknown
}

export interface Header {
  message_id: MessageId
  v: 3
  response_to?: MessageId
  /** Ours: the sender understands payload frames, and so many follow this event's frame. */
  pf?: number
  /** Ours: calls whose replies came with payload frames, which the sender has read since it told so last. */
  got?: MessageId[]
  /** Ours, of the first event of a call: the caller's CURVE public key, and the proof that it has the secret one (curve.ts). */
  who?: [publicKey: Uint8Array, proof: Uint8Array]
}

/** The one extension of msgpack that is known is the timestamp, of at most 12 bytes. */
const decodeLimits = { maxArrayLength: 10_000, maxMapLength: 10_000, maxExtLength: 12 }

/** How many read replies are told of at a time. */
export const mostGot = 64

/** Deepest nesting of arrays and maps that is decoded. */
const maxDepth = 24

export function encodeEvent(event: Event): Uint8Array {
  return encode([event.header, event.name, event.args], { ignoreUndefined: true })
}

/** Decodes one event from anybody. Throws `bad-format`, and takes no more memory than the bytes justify. */
export function decodeEvent(bytes: Uint8Array): Event {
  let value: unknown
  try {
    checkNesting(bytes, maxDepth)
    value = decode(bytes, decodeLimits)
  } catch (cause) {
    throw new Failure('bad-format', 'an event is not msgpack of the form that zerorpc uses', { cause })
  }
  if (!Array.isArray(value) || value.length !== 3) throw wrong('is not [header, name, args]')
  const [header, name, args] = value as unknown[]
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw wrong('has no header')
  const { message_id: id, v: version, response_to: responseTo, pf, who, got } = header as Record<string, unknown>
  if (!isMessageId(id)) throw wrong('has no message_id')
  if (version !== 3) throw wrong(`is of version ${typeof version === 'number' ? version : 'unknown'}, expected 3`)
  if (responseTo !== undefined && responseTo !== null && !isMessageId(responseTo))
    throw wrong('has a wrong response_to')
  const text = name instanceof Uint8Array ? Buffer.from(name).toString() : name
  if (typeof text !== 'string' || text.length > 256) throw wrong('has no name')
  const known: Header = { message_id: id, v: 3 }
  if (isMessageId(responseTo)) known.response_to = responseTo
  if (typeof pf === 'number' && Number.isInteger(pf) && pf >= 0) known.pf = pf
  if (Array.isArray(who) && who[0] instanceof Uint8Array && who[1] instanceof Uint8Array) known.who = [who[0], who[1]]
  if (Array.isArray(got)) known.got = got.slice(0, mostGot).filter(isMessageId)
  return { header: known, name: text, args }
}

/** A message id as the key of a map. */
export function idKey(id: MessageId): string {
  return typeof id === 'string' ? id : `\0${Buffer.from(id).toString('latin1')}`
}

function isMessageId(value: unknown): value is MessageId {
  return (typeof value === 'string' || value instanceof Uint8Array) && value.length > 0 && value.length <= 64
}

function wrong(why: string): Failure {
  return new Failure('bad-format', `an event ${why}`)
}
