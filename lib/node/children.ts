import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { Failure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import type { Logger } from '../base/log.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { NodeStats } from '../network/contract.ts'
import { Directory } from '../network/directory.ts'
import { type Lease, Leases } from '../network/leases.ts'
import type { Peers } from '../network/peers.ts'
import { type Address, splitAddress } from '../stream/address.ts'

export interface ChildrenOptions {
  clock: Clock
  log: Logger
  peers: Peers
  self: () => Address
  chain: () => readonly Address[]
}

/** A child that has just started may be slow to answer, and one that has not answered is not named to its siblings, ms. */
const callBackMs = 1400

/** The children of a master: their leases, and through the directory what they hold. */
export class Children implements Closeable {
  readonly directory = new Directory()
  readonly #options: ChildrenOptions
  readonly #leases = new Leases(limits.leaseMs)
  readonly #replaced = new Set<string>()
  /** Keys by name. */
  readonly #pins = new Map<string, string>()
  readonly #calling = new SingleFlight<Address, boolean>()
  #cancelSweep = () => {}

  constructor(options: ChildrenOptions) {
    this.#options = options
    this.#sweepLater()
  }

  /** Takes a child; one that passes chunks on is called at its address first, so that siblings are sent to it in time. */
  async register(child: { name: string; address?: Address | undefined }, key?: Buffer): Promise<Lease> {
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
    if (key) this.#checkKey(child, key)
    const id = randomBytes(12).toString('base64url')
    const { lease, replaced } = this.#leases.grant(id, { name: child.name, address: child.address }, clock.now())
    for (const old of replaced) {
      this.directory.leave(old.id)
      this.#noteReplaced(old.id)
      if (old.address !== child.address)
        log.warn(`${child.name} registered anew from ${child.address}; its lease from ${old.address} ends`)
    }
    if (lease.address !== undefined) {
      this.directory.join(lease.id, lease.address)
      if (!(await this.#callBack(lease.id, lease.address)))
        log.warn(
          `${child.name} says it serves at ${child.address}, but nobody answers there; siblings are not sent to it`,
        )
    }
    return lease
  }

  /** A name belongs to the key that it first came with; and who comes with a key must show the same at its address. */
  #checkKey({ name, address }: { name: string; address?: Address | undefined }, key: Buffer): void {
    const shown = key.toString('base64url')
    const pinned = this.#pins.get(name) ?? shown
    if (pinned !== shown) {
      throw new Failure(
        'refused',
        `the name ${name} belongs to the key ${pinned}, and ${shown} may not take it; choose another name, or restart this node if the key was changed on purpose`,
      )
    }
    if (address !== undefined && !splitAddress(address).key?.equals(key)) {
      throw new Failure(
        'refused',
        `${name} registered with the key ${shown}, but its address ${address} does not name that key`,
      )
    }
    this.#pins.delete(name)
    this.#pins.set(name, shown)
    for (const oldest of this.#pins.keys()) {
      if (this.#pins.size <= limits.childrenPerNode * 4) break
      this.#pins.delete(oldest)
    }
  }

  /** The lease; throws `lease-lost` when it ended. */
  renew(id: string): Lease {
    const lease = this.#leases.renew(id, this.#options.clock.now())
    if (lease) {
      if (lease.address !== undefined && !this.directory.hasAnswered(id)) void this.#callBack(id, lease.address)
      return lease
    }
    if (this.#replaced.has(id)) {
      throw new Failure('refused', 'another node registered under the same name; give each node a name of its own')
    }
    throw new Failure('lease-lost', 'the lease is not known: it ran out or this node was restarted; register again')
  }

  /** What each streamer may have asked for here and not yet received, bytes: many must not fill the memory. */
  get streamerWindowBytes(): number {
    const share = Math.floor(limits.streamersWindowBytes / Math.max(1, this.#leases.streamers))
    return Math.min(limits.windowBytes, Math.max(limits.runBytes, share))
  }

  leave(id: string): void {
    this.#leases.end(id)
    this.directory.leave(id)
  }

  stats(): NodeStats['children'] {
    return this.#leases
      .list()
      .map(({ id, name, address = '' }) => ({ name, address, chunks: this.directory.heldBy(id) }))
  }

  async close(): Promise<void> {
    this.#cancelSweep()
  }

  /** Whether the child answers at its address; from then on siblings are sent to it. */
  async #callBack(id: string, address: Address): Promise<boolean> {
    const answers = await this.#calling.run(address, () => this.#options.peers.at(address).ping(callBackMs))
    if (answers) this.directory.answered(id)
    return answers
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
