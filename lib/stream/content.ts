import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { Failure } from '../base/errors.ts'

/** Key of one publication's content, 32 bytes: AES-256. Travels only behind the `#` of a link. */
export type ContentKey = Buffer

export const contentKeyBytes = 32
/** A nonce of 96 bits, the length that GCM is made for (NIST SP 800-38D, 8.2). */
export const nonceBytes = 12
/** What a stored chunk is longer than its plaintext. */
export const tagBytes = 16
/** What a stored init segment is longer than its plaintext: it carries its nonce itself. */
export const initOverheadBytes = nonceBytes + tagBytes

const algorithm = 'aes-256-gcm'

export function newContentKey(): ContentKey {
  return randomBytes(contentKeyBytes)
}

/**
 * Encrypts and decrypts the chunks of one stream and epoch (AES-256-GCM, NIST SP 800-38D), each under a fresh random nonce.
 * Stream id, epoch and index are associated data: bytes of one place do not decrypt in another.
 */
export class ContentCipher {
  readonly #key: ContentKey
  readonly #place: Buffer

  constructor(key: ContentKey, stream: { streamId: Uint8Array; epoch: number }) {
    this.#key = key
    this.#place = Buffer.concat([stream.streamId, wide(stream.epoch)])
  }

  /** Ciphertext and, behind it, the tag. */
  encryptChunk(index: number, plain: Uint8Array): { nonce: Buffer; bytes: Buffer } {
    const nonce = randomBytes(nonceBytes)
    return { nonce, bytes: Buffer.concat(this.#encrypt(nonce, this.#chunkPlace(index), plain)) }
  }

  /** Throws `bad-key` unless key, nonce, place and every byte are right. */
  decryptChunk(index: number, nonce: Uint8Array, stored: Uint8Array): Buffer {
    return this.#decrypt(nonce, this.#chunkPlace(index), stored, `chunk ${index}`)
  }

  /** Nonce, ciphertext and tag. Made of an empty init segment too, so that each encrypted stream has one to try a key on. */
  encryptInit(plain: Uint8Array): Buffer {
    const nonce = randomBytes(nonceBytes)
    return Buffer.concat([nonce, ...this.#encrypt(nonce, this.#initPlace(), plain)])
  }

  /** Throws `bad-key` as `decryptChunk` does. */
  decryptInit(stored: Uint8Array): Buffer {
    return this.#decrypt(
      stored.subarray(0, nonceBytes),
      this.#initPlace(),
      stored.subarray(nonceBytes),
      'the beginning',
    )
  }

  #encrypt(nonce: Uint8Array, place: Uint8Array, plain: Uint8Array): Buffer[] {
    const cipher = createCipheriv(algorithm, this.#key, nonce, { authTagLength: tagBytes }).setAAD(place)
    return [cipher.update(plain), cipher.final(), cipher.getAuthTag()]
  }

  #decrypt(nonce: Uint8Array, place: Uint8Array, stored: Uint8Array, what: string): Buffer {
    const end = stored.length - tagBytes
    try {
      const decipher = createDecipheriv(algorithm, this.#key, nonce, { authTagLength: tagBytes })
      decipher.setAAD(place).setAuthTag(stored.subarray(Math.max(0, end)))
      const plain = decipher.update(stored.subarray(0, Math.max(0, end)))
      // Throws when the tag is wrong; nothing of `plain` may be used before.
      decipher.final()
      return plain
    } catch (cause) {
      throw new Failure('bad-key', `the content key does not decrypt ${what}`, { cause })
    }
  }

  /** The tags keep an init segment from passing as a chunk. */
  #chunkPlace(index: number): Buffer {
    return Buffer.concat([Buffer.from('peerstreamer chunk\0'), this.#place, wide(index)])
  }

  #initPlace(): Buffer {
    return Buffer.concat([Buffer.from('peerstreamer init\0'), this.#place])
  }
}

/** 64 bits, big endian. */
function wide(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
