import { Failure } from '../base/errors.ts'
import { type Address, parseAddress, withoutSecrets } from './address.ts'
import { type ContentKey, contentKeyBytes } from './content.ts'
import { parseName } from './names.ts'
import { type PublicKey, publicKeyBytes } from './signing.ts'

/**
 * Names a node, maybe a stream there, maybe the key that must have signed it, and maybe the key that decrypts it.
 * What is behind `#` is never sent.
 */
export interface Link {
  address: Address
  name: string | undefined
  key: PublicKey | undefined
  contentKey: ContentKey | undefined
}

/** Parses `tcp://host:port`, `tcp://host:port/name`, `tcp://host:port/name#key` or `tcp://host:port/name#key.contentkey`. */
export function parseLink(text: string, what = 'the link'): Link {
  const match = /^(tcp:\/\/[^/#]+)(?:\/([^#]*))?(?:#([^.]*)(?:\.(.*))?)?$/.exec(text.trim())
  if (!match) {
    throw new Failure(
      'bad-argument',
      `expected ${what} to be like tcp://host:port/name#key, got "${withoutSecrets(text)}"`,
    )
  }
  const [, address = '', name, key, contentKey] = match
  return {
    address: parseAddress(address, what),
    name: name ? parseName(name, `the name in ${what}`) : undefined,
    key: key === undefined ? undefined : parseKey(key, publicKeyBytes, `the key in ${what}`),
    contentKey:
      contentKey === undefined ? undefined : parseKey(contentKey, contentKeyBytes, `the content key in ${what}`),
  }
}

/** With a content key the link is a secret: who has it can read the stream. */
export function formatLink(address: Address, name: string, key: PublicKey, contentKey?: ContentKey): string {
  const secret = contentKey ? `.${contentKey.toString('base64url')}` : ''
  return `${address}/${name}#${key.toString('base64url')}${secret}`
}

/** A key in base64url. The text is not shown in an error: it may be, or hold, a secret. */
export function parseKey(text: string, bytes: number, what: string): Buffer {
  const key = Buffer.from(text, 'base64url')
  if (!/^[A-Za-z0-9_-]{43}$/.test(text) || key.length !== bytes) {
    throw new Failure(
      'bad-argument',
      `expected ${what} to be 43 letters, digits, "-" or "_" (${bytes} bytes), got ${text.length} characters`,
    )
  }
  return key
}
