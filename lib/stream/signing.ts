import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { Failure } from '../base/errors.ts'

/** Raw Ed25519 public key, 32 bytes. */
export type PublicKey = Buffer

export const publicKeyBytes = 32
export const signatureBytes = 64

// RFC 8410: the fixed DER prefixes of an Ed25519 public and private key.
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Signs with one stream key (Ed25519, RFC 8032). */
export class Signer {
  readonly publicKey: PublicKey
  readonly #key: KeyObject

  /** `seed` is the 32-byte private key. */
  constructor(seed: Uint8Array) {
    this.#key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' })
    this.publicKey = createPublicKey(this.#key).export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length)
  }

  /** A fresh seed for a new key. */
  static newSeed(): Buffer {
    const { privateKey } = generateKeyPairSync('ed25519')
    return privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(pkcs8Prefix.length)
  }

  /** Signs `bytes` for one purpose: `domain` keeps a signature over a page from passing as one over a descriptor. */
  sign(domain: string, bytes: Uint8Array): Buffer {
    return sign(null, tagged(domain, bytes), this.#key)
  }
}

/** Checks signatures of one public key; the key is decoded once. */
export class Verifier {
  readonly #key: KeyObject

  constructor(publicKey: Uint8Array) {
    if (publicKey.length !== publicKeyBytes) {
      throw new Failure('bad-format', `expected a public key of ${publicKeyBytes} bytes, got ${publicKey.length}`)
    }
    this.#key = createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' })
  }

  verify(domain: string, bytes: Uint8Array, signature: Uint8Array): boolean {
    return signature.length === signatureBytes && verify(null, tagged(domain, bytes), this.#key, signature)
  }
}

function tagged(domain: string, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`peerstreamer ${domain}\0`), bytes])
}
