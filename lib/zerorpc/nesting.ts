import { Failure } from '../base/errors.ts'
import { isOff } from '../base/protections.ts'

/**
 * Walks the headers of a msgpack value and throws `bad-format` when arrays and maps are nested deeper than `maxDepth`:
 * a decoder makes room for every array that a header announces, so a few bytes a level could take any amount of memory.
 */
export function checkNesting(bytes: Uint8Array, maxDepth: number): void {
  if (isOff('nesting')) return
  // left[d]: values still to come at depth d.
  const left = [1]
  let at = 0
  while (left.length > 0) {
    const depth = left.length - 1
    if (left[depth] === 0) {
      left.pop()
      continue
    }
    left[depth] = (left[depth] ?? 0) - 1
    const { children, end } = readHeader(bytes, at)
    at = end
    if (at > bytes.length) throw new Failure('bad-format', 'a msgpack value is cut short')
    if (children > 0) {
      if (left.length >= maxDepth) throw new Failure('bad-format', `a msgpack value is nested deeper than ${maxDepth}`)
      left.push(children)
    }
  }
}

/** Lengths of what follows the type byte from 0xc0 on: fixed bytes, or `-n`: n bytes of length and then that many. */
const bodies: Record<number, number> = {
  192: 0,
  194: 0,
  195: 0,
  196: -1,
  197: -2,
  198: -4,
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
  212: 2,
  213: 3,
  214: 5,
  215: 9,
  216: 17,
  217: -1,
  218: -2,
  219: -4,
}

function readHeader(bytes: Uint8Array, at: number): { children: number; end: number } {
  const type = bytes[at] ?? 193
  if (type < 0x80 || type >= 0xe0) return { children: 0, end: at + 1 }
  if (type < 0x90) return { children: (type & 15) * 2, end: at + 1 }
  if (type < 0xa0) return { children: type & 15, end: at + 1 }
  if (type < 0xc0) return { children: 0, end: at + 1 + (type & 31) }
  if (type >= 0xdc) {
    const wide = type === 0xdd || type === 0xdf ? 4 : 2
    const count = readLength(bytes, at + 1, wide)
    return { children: type >= 0xde ? count * 2 : count, end: at + 1 + wide }
  }
  // Extensions of variable length: one byte of type beside the body.
  if (type >= 0xc7 && type <= 0xc9) {
    const wide = 1 << (type - 0xc7)
    return { children: 0, end: at + 2 + wide + readLength(bytes, at + 1, wide) }
  }
  const body = bodies[type]
  if (body === undefined) throw new Failure('bad-format', 'a msgpack value has an unknown type or is cut short')
  return { children: 0, end: body >= 0 ? at + 1 + body : at + 1 - body + readLength(bytes, at + 1, -body) }
}

function readLength(bytes: Uint8Array, at: number, wide: number): number {
  let length = 0
  for (let i = 0; i < wide; i++) length = length * 256 + (bytes[at + i] ?? 0)
  return length
}
