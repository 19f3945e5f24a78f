import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { noteMoved } from './collect.ts'

/** ArrayBuffer.prototype.transfer (ECMAScript 2024): moves the bytes elsewhere, and with a length of 0 nowhere. */
const transfer = findTransfer()

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

type Transfer = (this: ArrayBuffer, newLength: number) => ArrayBuffer

function findTransfer(): Transfer {
  const { transfer: own } = ArrayBuffer.prototype as { transfer?: Transfer }
  if (own) return own
  // Node 20 has it behind a flag, which counts for contexts made after it.
  setFlagsFromString('--harmony-rab-gsab-transfer')
  const found = runInNewContext('ArrayBuffer.prototype.transfer') as Transfer
  setFlagsFromString('--no-harmony-rab-gsab-transfer')
  return found
}
