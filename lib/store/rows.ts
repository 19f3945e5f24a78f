import { decode, encode } from '@msgpack/msgpack'
import type { Signed } from '../stream/signed.ts'
import type { StreamKey } from '../stream/stream-key.ts'
import type { Extent } from './extents.ts'

/**
 * Rows of the index. LevelDB returns a flipped byte as good data, so a row is believed only as far as its form goes;
 * what it points at is verified by digest when it is read.
 *
 *   x/<stream id>/<epoch>/<first chunk>   extent: [count, media offset, bytes, slab, slab offset]
 *   d/<name>                              descriptor: [body, signature]
 *   p/<stream id>/<epoch>/<first chunk>   page: [body, signature]
 *   k/<name>                              pinned public key
 *   u                                     slabs by last use, oldest first
 */
const streamPattern = /^([0-9a-f]{64})\/(\d{1,16})$/

export function extentKey(stream: StreamKey, first: number): string {
  return `x/${streamPath(stream)}/${padded(first)}`
}

export function pageKey(stream: StreamKey, first: number): string {
  return `p/${streamPath(stream)}/${padded(first)}`
}

export function descriptorKey(name: string): string {
  return `d/${name}`
}

export function pinKey(name: string): string {
  return `k/${name}`
}

export const usesKey = 'u'

/** All keys that begin with `prefix`. */
export function keysUnder(prefix: string): { gte: string; lt: string } {
  return { gte: prefix, lt: `${prefix}\uffff` }
}

export function streamPath(stream: StreamKey): string {
  const match = streamPattern.exec(stream)
  return `${match?.[1]}/${padded(Number(match?.[2]))}`
}

export function encodeExtent(extent: Extent): Buffer {
  return Buffer.from(encode([extent.count, extent.mediaOffset, extent.bytes, extent.slab, extent.slabOffset]))
}

/** The extent of a row, or undefined when the row is damaged. */
export function decodeExtent(key: string, value: Uint8Array): { stream: StreamKey; extent: Extent } | undefined {
  const match = /^x\/([0-9a-f]{64})\/(\d{16})\/(\d{16})$/.exec(key)
  const fields = decodeArray(value, 5)
  if (!match || !fields?.every((field) => typeof field === 'number' && Number.isSafeInteger(field) && field >= 0))
    return undefined
  const [count = 0, mediaOffset = 0, bytes = 0, slab = 0, slabOffset = 0] = fields as number[]
  if (count < 1 || bytes < count) return undefined
  const extent = { first: Number(match[3]), count, mediaOffset, bytes, slab, slabOffset }
  return { stream: `${match[1]}/${Number(match[2])}`, extent }
}

export function encodeSigned({ body, signature }: Signed): Buffer {
  return Buffer.from(encode([body, signature]))
}

/** Descriptor or page of a row, or undefined when the row is damaged; the signature is checked by who reads it. */
export function decodeSigned(value: Uint8Array): Signed | undefined {
  const [body, signature] = decodeArray(value, 2) ?? []
  return body instanceof Uint8Array && signature instanceof Uint8Array ? { body, signature } : undefined
}

export function encodeUses(slabs: number[]): Buffer {
  return Buffer.from(encode(slabs))
}

export function decodeUses(value: Uint8Array): number[] {
  return (decodeArray(value) ?? []).filter((slab) => typeof slab === 'number')
}

function decodeArray(value: Uint8Array, length?: number): unknown[] | undefined {
  try {
    // An element takes a byte at least: a damaged row cannot take memory by what it announces.
    const decoded = decode(value, { maxArrayLength: value.length, maxMapLength: 0, maxExtLength: 0 })
    return Array.isArray(decoded) && (length === undefined || decoded.length === length) ? decoded : undefined
  } catch {
    return undefined
  }
}

function padded(value: number): string {
  return String(value).padStart(16, '0')
}
