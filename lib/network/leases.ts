import type { Address } from '../stream/address.ts'

/** A child's place at its master. */
export interface Lease {
  id: string
  name: string
  /** Where the child serves; undefined: it passes nothing on (a streamer). */
  address: Address | undefined
  /** When it ends unless renewed, by the monotonic clock, ms. */
  until: number
}

/** The leases of one master. The newest lease of a name wins. Pure bookkeeping: the time is passed in. */
export class Leases {
  readonly #byId = new Map<string, Lease>()
  readonly #leaseMs: number
  #streamers = 0

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs
  }

  grant(
    id: string,
    child: { name: string; address: Address | undefined },
    now: number,
  ): { lease: Lease; replaced: Lease[] } {
    const replaced = [...this.#byId.values()].filter((lease) => lease.name === child.name)
    for (const lease of replaced) this.end(lease.id)
    const lease = { id, ...child, until: now + this.#leaseMs }
    this.#byId.set(id, lease)
    if (lease.address === undefined) this.#streamers++
    return { lease, replaced }
  }

  /** The lease, its time begun anew; undefined when it ended. */
  renew(id: string, now: number): Lease | undefined {
    const lease = this.#byId.get(id)
    if (!lease) return undefined
    lease.until = now + this.#leaseMs
    return lease
  }

  end(id: string): Lease | undefined {
    const lease = this.#byId.get(id)
    this.#byId.delete(id)
    if (lease && lease.address === undefined) this.#streamers--
    return lease
  }

  /** Takes out and returns the leases that ran out. */
  expire(now: number): Lease[] {
    const ended = [...this.#byId.values()].filter((lease) => lease.until <= now)
    for (const lease of ended) this.end(lease.id)
    return ended
  }

  list(): Lease[] {
    return [...this.#byId.values()]
  }

  /** Children that pass nothing on. */
  get streamers(): number {
    return this.#streamers
  }

  get size(): number {
    return this.#byId.size
  }
}
