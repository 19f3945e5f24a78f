import { noteMoved } from './collect.ts'
import { underFlag } from './flagged.ts'

type Transfer = (this: ArrayBuffer, newLength: number) => ArrayBuffer

/** ArrayBuffer.prototype.transfer (ECMAScript 2024; in Node 20 behind a flag): moves the bytes elsewhere, and with a length of 0 nowhere. */
const transfer =
  (ArrayBuffer.prototype as { transfer?: Transfer }).transfer ??
  (underFlag('harmony-rab-gsab-transfer', 'ArrayBuffer.prototype.transfer') as Transfer)

/**
 * Gives the memory of `bytes` back at once, if nothing else lies in it; they are empty afterwards. For large buffers whose end is
 * known: left to V8, they start its collector again and again (docs/decisions/0008-discard.md). Never for bytes that
 * were handed to a socket or a file and may still be on their way.
 */
export function discard(bytes: Uint8Array): void {
  if (!(bytes.buffer instanceof ArrayBuffer) || bytes.byteLength !== bytes.buffer.byteLength) return
  noteMoved(bytes.byteLength)
  transfer.call(bytes.buffer, 0)
}
