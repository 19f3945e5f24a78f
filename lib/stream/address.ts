import { Failure } from '../base/errors.ts'

/**
 * Where a node listens: `tcp://host:port`, or `tcp://key@host:port` with the CURVE public key that it must show (base64url). In that
 * one spelling, so that two addresses are equal as text.
 */
export type Address = string

/** Checks `text` to be an address with a port from 1 to 65535; IPv6 hosts stand in brackets. */
export function parseAddress(text: string, what = 'the address'): Address {
  const match = pattern.exec(text.trim())
  const port = Number(match?.[3] ?? 0)
  if (!match || port < 1 || port > 65535) {
    throw new Failure(
      'bad-argument',
      `expected ${what} to be like tcp://127.0.0.1:8001 or tcp://KEY@127.0.0.1:8001, got "${withoutSecrets(text)}"`,
    )
  }
  return `tcp://${match[1] ?? ''}${(match[2] ?? '').toLowerCase()}:${port}`
}

const pattern = /^tcp:\/\/([A-Za-z0-9_-]{43}@)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]{1,253}):(\d{1,5})$/

/** Text that was to be an address or link, as it may be shown: what is behind `#` may hold a content key. */
export function withoutSecrets(text: string): string {
  return text.replace(/#.*/s, '#...').slice(0, 200)
}

/** `key`: the CURVE public key that the node must show, 32 bytes. */
export function addressOf(host: string, port: number, key?: Uint8Array): Address {
  const before = key ? `${Buffer.from(key).toString('base64url')}@` : ''
  return `tcp://${before}${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The parts of an address made by `parseAddress`. */
export function splitAddress(address: Address): { host: string; port: number; key: Buffer | undefined } {
  const [place = '', key] = address.slice('tcp://'.length).split('@').reverse()
  const at = place.lastIndexOf(':')
  return {
    host: place.slice(0, at).replace(/^\[|\]$/g, ''),
    port: Number(place.slice(at + 1)),
    key: key === undefined ? undefined : Buffer.from(key, 'base64url'),
  }
}

/** The address with the key that its node must show; one that has a key must have the same. */
export function withKey(address: Address, key: Uint8Array): Address {
  const { host, port, key: known } = splitAddress(address)
  if (known && !known.equals(key)) {
    throw new Failure(
      'bad-argument',
      `the address ${address} names another key than ${Buffer.from(key).toString('base64url')}; give one of the two`,
    )
  }
  return addressOf(host, port, key)
}
