import { Failure } from '../base/errors.ts'

/** Where a node listens: `tcp://host:port`, in that one spelling, so that two addresses are equal as text. */
export type Address = string

/** Checks `text` to be `tcp://host:port` with a port from 1 to 65535; IPv6 hosts stand in brackets. */
export function parseAddress(text: string, what = 'the address'): Address {
  const match = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]{1,253}):(\d{1,5})$/.exec(text.trim())
  const port = Number(match?.[2] ?? 0)
  if (!match || port < 1 || port > 65535) {
    throw new Failure('bad-argument', `expected ${what} to be like tcp://127.0.0.1:8001, got "${text.slice(0, 200)}"`)
  }
  return `tcp://${(match[1] ?? '').toLowerCase()}:${port}`
}

export function addressOf(host: string, port: number): Address {
  return `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Host and port of an address made by `parseAddress`. */
export function splitAddress(address: Address): { host: string; port: number } {
  const at = address.lastIndexOf(':')
  return { host: address.slice('tcp://'.length, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) }
}
