import { Failure } from '../base/errors.ts'
import { isOff } from '../base/protections.ts'
import type { Signer, Verifier } from './signing.ts'

/** Encoded bytes and the signature of the stream's key over them: how descriptors and pages travel and are kept. */
export interface Signed {
  body: Uint8Array
  signature: Uint8Array
}

export type SignedKind = 'descriptor' | 'page'

export function seal(kind: SignedKind, body: Uint8Array, signer: Signer): Signed {
  return { body, signature: signer.sign(kind, body) }
}

/** Throws `bad-signature` unless the signature is right; called before the body is decoded. */
export function checkSeal(kind: SignedKind, signed: Signed, verifier: Verifier, of: string): void {
  if (isOff('signatures')) return
  if (!verifier.verify(kind, signed.body, signed.signature)) {
    throw new Failure('bad-signature', `the ${kind} of ${of} is not signed by the stream's key`)
  }
}
