import { Failure } from '../base/errors.ts'
import { ContentCipher, type ContentKey } from '../stream/content.ts'
import type { Descriptor } from '../stream/descriptor.ts'
import type { Page } from '../stream/page.ts'

/** What verified bytes of a stream hold: themselves, or what they decrypt to. */
export interface Content {
  init: Uint8Array
  /** The content of `count` chunks from `first`; `stored` are their verified bytes, one after another. */
  of(page: Page, first: number, count: number, stored: Uint8Array): Uint8Array
}

/** Tries the key at once, so that nothing is done to an output with a wrong one. Throws `bad-key`. */
export function openContent(descriptor: Descriptor, contentKey: ContentKey | undefined): Content {
  const { name, init } = descriptor
  if (!descriptor.isEncrypted) return { init, of: (_page, _first, _count, stored) => stored }
  if (!contentKey) {
    throw new Failure(
      'bad-key',
      `${name} is encrypted; give --source the whole link that split_video printed, tcp://HOST:PORT/${name}#KEY.CONTENTKEY`,
    )
  }
  const cipher = new ContentCipher(contentKey, descriptor)
  return {
    init: openInit(cipher, descriptor),
    of: (page, first, count, stored) => decryptRun(cipher, page, first, count, stored),
  }
}

function openInit(cipher: ContentCipher, { name, init }: Descriptor): Uint8Array {
  try {
    return cipher.decryptInit(init)
  } catch (cause) {
    throw new Failure(
      'bad-key',
      `the content key in the link does not decrypt ${name}; each publication has a key of its own, so ask for its present link`,
      { cause },
    )
  }
}

function decryptRun(cipher: ContentCipher, page: Page, first: number, count: number, stored: Uint8Array): Uint8Array {
  const base = page.offsetOf(first)
  const plain: Buffer[] = []
  for (let index = first; index < first + count; index++) {
    const { nonce, sizeBytes } = page.record(index)
    if (!nonce) throw new Failure('bad-format', 'a page of an encrypted stream has no nonces; it was published wrongly')
    const at = page.offsetOf(index) - base
    plain.push(cipher.decryptChunk(index, nonce, stored.subarray(at, at + sizeBytes)))
  }
  const [only] = plain
  return plain.length === 1 && only ? only : Buffer.concat(plain)
}
