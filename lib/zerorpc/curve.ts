import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto'

/** A Curve25519 key pair, 32 bytes each: the identity of a node, for ZeroMQ's CURVE (RFC 26/CURVEZMQ). */
export interface KeyPair {
  publicKey: Buffer
  secretKey: Buffer
}

export const curveKeyBytes = 32

// RFC 8410: the fixed DER prefixes of an X25519 public and private key.
const spkiPrefix = Buffer.from('302a300506032b656e032100', 'hex')
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')

export function newKeyPair(): KeyPair {
  const { privateKey } = generateKeyPairSync('x25519')
  return keyPairOf(privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(pkcs8Prefix.length))
}

export function keyPairOf(secretKey: Uint8Array): KeyPair {
  const publicKey = createPublicKey(privateKeyOf(secretKey)).export({ format: 'der', type: 'spki' })
  return { publicKey: publicKey.subarray(spkiPrefix.length), secretKey: Buffer.from(secretKey) }
}

/**
 * What a client sends with each call to show the server whose key the connection was admitted with: ZeroMQ does not tell
 * (FACTS: the key of a sender cannot be read). Only who has one of the two secret keys can make it, it is of no use at
 * another server, and it travels encrypted by CURVE.
 */
export function proofOf(ownSecretKey: Uint8Array, otherPublicKey: Uint8Array): Buffer {
  const shared = diffieHellman({ privateKey: privateKeyOf(ownSecretKey), publicKey: publicKeyOf(otherPublicKey) })
  return createHmac('sha256', shared).update('peerstreamer caller').digest()
}

/** Checks proofs at a server; each caller's is computed once. */
export class ProofChecker {
  readonly #secretKey: Uint8Array
  readonly #expected = new Map<string, Buffer>()
  /** Callers remembered; beyond it the oldest is computed anew. */
  static readonly remembered = 4096

  constructor(secretKey: Uint8Array) {
    this.#secretKey = secretKey
  }

  isRight(publicKey: Uint8Array, proof: Uint8Array): boolean {
    if (publicKey.length !== curveKeyBytes || proof.length !== 32) return false
    const name = Buffer.from(publicKey).toString('base64url')
    const known = this.#expected.get(name)
    const expected = known ?? this.#compute(publicKey)
    if (!expected || !timingSafeEqual(expected, proof)) return false
    if (known) return true
    this.#expected.set(name, expected)
    for (const oldest of this.#expected.keys()) {
      if (this.#expected.size <= ProofChecker.remembered) break
      this.#expected.delete(oldest)
    }
    return true
  }

  /** Undefined for a public key of low order, for which there is no secret. */
  #compute(publicKey: Uint8Array): Buffer | undefined {
    try {
      return proofOf(this.#secretKey, publicKey)
    } catch {
      return undefined
    }
  }
}

const z85Letters = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'

/** Z85 (ZeroMQ RFC 32), as ZeroMQ wants keys: five letters for four bytes. */
export function z85(bytes: Uint8Array): string {
  const view = Buffer.from(bytes)
  let text = ''
  for (let at = 0; at < view.length; at += 4) {
    const value = view.readUInt32BE(at)
    for (let divisor = 85 ** 4; divisor >= 1; divisor /= 85) text += z85Letters[Math.floor(value / divisor) % 85]
  }
  return text
}

function privateKeyOf(secretKey: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, secretKey]), format: 'der', type: 'pkcs8' })
}

function publicKeyOf(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' })
}
