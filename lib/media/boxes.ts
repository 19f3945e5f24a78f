import { Failure } from '../base/errors.ts'

/** A box of an MP4 file (ISO/IEC 14496-12): `body` is what follows its header. */
export interface Box {
  type: string
  body: Buffer
  /** Header and body. */
  whole: Buffer
}

/** Runs `read`; a field that would lie past the end of its box is a fault of the file. Throws `bad-format`. */
export function withinBoxes<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new Failure('bad-format', 'an MP4 box is too short for its fields', { cause })
  }
}

/** The boxes that lie one after another in `bytes`. */
export function boxesIn(bytes: Buffer): Box[] {
  const boxes: Box[] = []
  for (let at = 0; at < bytes.length; ) {
    const header = readBoxHeader(bytes.subarray(at))
    if (!header || header.size > bytes.length - at) throw new Failure('bad-format', 'an MP4 box is cut short')
    const whole = bytes.subarray(at, at + header.size)
    boxes.push({ type: header.type, body: whole.subarray(header.length), whole })
    at += header.size
  }
  return boxes
}

/** The first box of that type among the boxes in `bytes`. */
export function findBox(bytes: Buffer, type: string): Box | undefined {
  return boxesIn(bytes).find((box) => box.type === type)
}

/** The box at the end of a path such as `mdia`, `minf`, `stbl`. */
export function findPath(bytes: Buffer, ...path: string[]): Box | undefined {
  let box: Box | undefined
  for (const type of path) {
    box = findBox(box?.body ?? bytes, type)
    if (!box) return undefined
  }
  return box
}

export interface BoxHeader {
  type: string
  /** Bytes of header and body. */
  size: number
  /** Bytes of the header alone. */
  length: number
}

/** The header at the start of `bytes`; undefined while too few bytes are there. Throws `bad-format`. */
export function readBoxHeader(bytes: Buffer): BoxHeader | undefined {
  if (bytes.length < 8) return undefined
  const type = bytes.toString('latin1', 4, 8)
  const size = bytes.readUInt32BE(0)
  if (size !== 1) {
    if (size < 8) throw new Failure('bad-format', `an MP4 box "${type}" has the impossible size ${size}`)
    return { type, size, length: 8 }
  }
  if (bytes.length < 16) return undefined
  const large = bytes.readBigUInt64BE(8)
  if (large < 16n || large > BigInt(Number.MAX_SAFE_INTEGER))
    throw new Failure('bad-format', `an MP4 box "${type}" has an impossible size`)
  return { type, size: Number(large), length: 16 }
}
