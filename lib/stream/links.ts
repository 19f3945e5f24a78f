import { Failure } from '../base/errors.ts'
import { type Address, parseAddress } from './address.ts'
import { parseName } from './names.ts'
import { type PublicKey, publicKeyBytes } from './signing.ts'

/** Names a node, maybe a stream there, and maybe the key that must have signed it. What is behind `#` is never sent. */
export interface Link {
  address: Address
  name: string | undefined
  key: PublicKey | undefined
}

/** Parses `tcp://host:port`, `tcp://host:port/name` or `tcp://host:port/name#key`. */
export function parseLink(text: string, what = 'the link'): Link {
  const match = /^(tcp:\/\/[^/#]+)(?:\/([^#]*))?(?:#(.*))?$/.exec(text.trim())
  if (!match) {
    throw new Failure(
      'bad-argument',
      `expected ${what} to be like tcp://host:port/name#key, got "${text.slice(0, 200)}"`,
    )
  }
  const [, address = '', name, key] = match
  return {
    address: parseAddress(address, what),
    name: name ? parseName(name, `the name in ${what}`) : undefined,
    key: key === undefined ? undefined : parseKey(key, `what follows # in ${what}`),
  }
}

export function formatLink(address: Address, name: string, key: PublicKey): string {
  return `${address}/${name}#${key.toString('base64url')}`
}

/** A public key in base64url. */
export function parseKey(text: string, what: string): PublicKey {
  const key = Buffer.from(text, 'base64url')
  if (!/^[A-Za-z0-9_-]+$/.test(text) || key.length !== publicKeyBytes) {
    throw new Failure(
      'bad-argument',
      `expected ${what} to be a key of 43 letters, digits, "-" or "_" (32 bytes), got "${text.slice(0, 80)}"`,
    )
  }
  return key
}
