import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Address, splitAddress } from '../stream/address.ts'

const everywhere = new Set(['0.0.0.0', '::', '*'])

/** Whether a node that binds to `ip` listens on all addresses of the machine. */
export function bindsEverywhere(ip: string): boolean {
  return everywhere.has(ip)
}

/** Whether only this machine reaches `host`. */
export function isLoopback(host: string): boolean {
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/**
 * The address of this machine from which `master` is reached, by the system's routing table: a UDP socket that is
 * connected sends nothing, but has got its local address.
 */
export async function addressTowards(master: Address): Promise<string | undefined> {
  const { host, port } = splitAddress(master)
  try {
    const { address, family } = await lookup(host)
    return await new Promise((resolve, reject) => {
      const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
      socket.once('error', reject)
      socket.connect(port, address, () => {
        const local = socket.address().address
        socket.close(() => resolve(local))
      })
    })
  } catch {
    return undefined
  }
}

/** An address of this machine that others may reach: the first that is not loopback, else loopback. */
export function firstOwnAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { family, internal, address } of addresses ?? []) if (family === 'IPv4' && !internal) return address
  }
  return '127.0.0.1'
}
