import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { Failure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import type { Logger } from '../base/log.ts'
import { Directory } from '../network/directory.ts'
import { type Lease, Leases } from '../network/leases.ts'
import type { Peers } from '../network/peers.ts'
import type { Address } from '../stream/address.ts'

export interface ChildrenOptions {
  clock: Clock
  log: Logger
  peers: Peers
  self: () => Address
  chain: () => readonly Address[]
}

/** The children of a master: their leases, and through the directory what they hold. */
export class Children implements Closeable {
  readonly directory = new Directory()
  readonly #options: ChildrenOptions
  readonly #leases = new Leases(limits.leaseMs)
  readonly #replaced = new Set<string>()
  #cancelSweep = () => {}

  constructor(options: ChildrenOptions) {
    this.#options = options
    this.#sweepLater()
  }

  /** Takes a child. One that passes chunks on is listed for its siblings only after it answered at its address. */
  register(child: { name: string; address?: Address | undefined }): Lease {
    const { clock, log, self, chain } = this.#options
    if (this.#leases.size >= limits.childrenPerNode) {
      throw new Failure('over-limit', `this node has ${limits.childrenPerNode} children and takes no more`)
    }
    if (child.address !== undefined && (child.address === self() || chain().includes(child.address))) {
      throw new Failure(
        'refused',
        `${child.address} is a master of this node; registering it as a child would close a circle`,
      )
    }
    const id = randomBytes(12).toString('base64url')
    const { lease, replaced } = this.#leases.grant(id, { name: child.name, address: child.address }, clock.now())
    for (const old of replaced) {
      this.directory.leave(old.id)
      this.#noteReplaced(old.id)
      if (old.address !== child.address)
        log.warn(`${child.name} registered anew from ${child.address}; its lease from ${old.address} ends`)
    }
    if (lease.address !== undefined) void this.#list(lease.id, lease.address)
    return lease
  }

  /** The lease; throws `lease-lost` when it ended. */
  renew(id: string): Lease {
    const lease = this.#leases.renew(id, this.#options.clock.now())
    if (lease) return lease
    const why = this.#replaced.has(id)
      ? 'another node registered under the same name'
      : 'it ran out or this node was restarted'
    throw new Failure('lease-lost', `the lease is not known: ${why}; register again`)
  }

  leave(id: string): void {
    this.#leases.end(id)
    this.directory.leave(id)
  }

  list(): Lease[] {
    return this.#leases.list()
  }

  async close(): Promise<void> {
    this.#cancelSweep()
  }

  async #list(id: string, address: Address): Promise<void> {
    const { peers, log } = this.#options
    const isThere = await peers.at(address).ping(limits.pingMs * 2)
    if (!isThere)
      log.warn(`a child says it serves at ${address}, but nobody answers there; its siblings are not sent to it`)
    else if (this.#leases.list().some((lease) => lease.id === id)) this.directory.join(id, address)
  }

  #noteReplaced(id: string): void {
    this.#replaced.add(id)
    for (const oldest of this.#replaced) {
      if (this.#replaced.size <= limits.childrenPerNode) break
      this.#replaced.delete(oldest)
    }
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#options.clock.after(limits.leaseMs / 3, () => {
      for (const lease of this.#leases.expire(this.#options.clock.now())) {
        this.directory.leave(lease.id)
        this.#options.log.warn(`${lease.name} fell silent; its lease ended`)
      }
      this.directory.sweep(this.#options.clock.now())
      this.#sweepLater()
    })
  }
}
