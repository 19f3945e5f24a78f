import { backoffMs } from '../base/backoff.ts'
import type { Chance, Clock } from '../base/clock.ts'
import { Failure, isFailure, toFailure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import type { Logger } from '../base/log.ts'
import { isOff } from '../base/protections.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { Address } from '../stream/address.ts'
import type { HoldingsChange, Peer } from './peer.ts'
import type { Peers } from './peers.ts'

/** A master calls this node back before it answers a registration, ms. */
const registerMs = 2500
/** A master that took the place of this node away is asked again after this, ms. */
const refusedPauseMs = 30_000

/** What a node is to its master. */
export interface UplinkOptions {
  /** Own name, and own address (known once the node listens) when chunks are passed on to others. */
  self: { name: string; address?: () => Address }
  /** The master, then the supermasters that are known beforehand. */
  masters: Address[]
  peers: Peers
  clock: Clock
  chance: Chance
  log: Logger
  /** Called after each registration: the new master knows nothing of this node yet. */
  onRegistered?: (uplink: Uplink) => void
  /** How long a master that came back must answer before it is returned to, ms; default `limits.returnStableMs`. */
  returnStableMs?: number
}

interface Registration {
  address: Address
  lease: string
  leaseMs: number
}

/**
 * Keeps a node registered with the nearest master that answers.
 *
 * The chain is the master, its master, and so on upward, as far as configured or learnt from registrations. The node
 * hangs at the first that answers; when that one falls silent it moves up the chain at once, keeps trying the ones
 * before it, and returns when one of them has answered for `returnStableMs` without a break. One loop does all of it:
 * it wakes for the next renewal or trial, or at once when somebody `suspect`s the master.
 */
export class Uplink implements Closeable {
  readonly #options: UplinkOptions
  readonly #trials = new Map<Address, { nextAt: number; failures: number; upSince: number | undefined }>()
  readonly #checks = new SingleFlight<Address, boolean>()
  readonly #waiting = new Set<() => void>()
  #chain: Address[]
  #current: Registration | undefined
  #renewAt = 0
  #roundFailures = 0
  #wake: () => void = () => {}
  #closed = false
  #loop: Promise<void> | undefined
  #saidWaiting = false
  #refusal: Failure | undefined

  constructor(options: UplinkOptions) {
    this.#options = options
    this.#chain = isOff('failover') ? options.masters.slice(0, 1) : [...new Set(options.masters)]
    options.peers.onDisconnect((address) => void this.suspect(address))
  }

  start(): void {
    this.#chain = this.#withoutSelf(this.#chain)
    this.#loop ??= this.#run()
  }

  /** The master that this node hangs at now; undefined while none answers. */
  get current(): Address | undefined {
    return this.#current?.address
  }

  get lease(): string | undefined {
    return this.#current?.lease
  }

  /** Whether this node passes chunks on, and so is told which sibling has what. */
  get shares(): boolean {
    return this.#options.self.address !== undefined
  }

  /** Master, supermaster and so on, nearest first. */
  get chain(): readonly Address[] {
    return this.#chain
  }

  /** Whom to ask, best first: where the node hangs, then upward from there. */
  upward(): Address[] {
    const at = this.#current ? this.#chain.indexOf(this.#current.address) : 0
    return this.#chain.slice(Math.max(0, at))
  }

  /** Resolves when the node hangs somewhere; rejects with the signal's reason. */
  registered(signal?: AbortSignal): Promise<void> {
    if (this.#current) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(done)
        reject(signal?.reason)
      }
      const done = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      if (signal?.aborted) return onAbort()
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(done)
    })
  }

  /** Why the master that was tried last did not take this node, if it said so. */
  get refusal(): Failure | undefined {
    return this.#refusal
  }

  /** Somebody finds this address slow or silent: it is pinged, and left if it is the master and does not answer. */
  async suspect(address: Address): Promise<void> {
    if (this.#closed || !this.#chain.includes(address)) return
    const alive = await this.#checks.run(address, () => this.#peer(address).ping(this.#peer(address).pace.pingMs))
    if (alive || this.#closed) return
    if (this.#current?.address === address) this.#leaveSilent('does not answer')
  }

  /** Sends changes of what is held to the master; false when it must be told all anew after the next registration. */
  async report(changes: HoldingsChange[]): Promise<boolean> {
    const registration = this.#current
    if (!registration || changes.length === 0) return registration !== undefined
    try {
      await this.#peer(registration.address).report(registration.lease, changes, { timeoutMs: 5000 })
      return true
    } catch (error) {
      this.#onCallFailed(registration, error)
      return false
    }
  }

  /** A call with the lease failed: a lost lease is asked for anew, a silent master is suspected. */
  noteFailure(address: Address, error: unknown): void {
    if (this.#current?.address === address) this.#onCallFailed(this.#current, error)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#wake()
    await this.#loop
    const registration = this.#current
    this.#current = undefined
    if (registration)
      await this.#peer(registration.address)
        .leave(registration.lease, { timeoutMs: 500 })
        .catch(() => {})
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      await this.#step()
      if (this.#closed) return
      await this.#sleep(this.#nextWakeMs())
    }
  }

  async #step(): Promise<void> {
    const { clock } = this.#options
    if (!this.#current) {
      const now = clock.now()
      for (const address of this.#chain) {
        const trial = this.#trials.get(address)
        const isOnlyOne = this.#chain.length === 1 && !this.#refusal
        if (trial && trial.nextAt > now && !isOnlyOne) continue
        if (this.#closed || (await this.#register(address))) return
      }
      this.#roundFailures++
      if (!this.#saidWaiting) {
        this.#saidWaiting = true
        this.#options.log.warn(`no master answers yet (${this.#chain.join(', ')}); waiting for one`)
      }
      return
    }
    await this.#tryReturn()
    if (this.#current && clock.now() >= this.#renewAt) await this.#renew(this.#current)
  }

  async #register(address: Address): Promise<boolean> {
    const { clock, log, self } = this.#options
    const before = this.#current
    try {
      const reply = await this.#peer(address).register(
        { name: self.name, address: self.address?.() },
        { timeoutMs: registerMs },
      )
      this.#current = { address, lease: reply.lease, leaseMs: reply.leaseMs }
      this.#peer(address).openForChunks()
      this.#renewAt = clock.now() + reply.leaseMs / 3
      this.#trials.delete(address)
      this.#refusal = undefined
      this.#roundFailures = 0
      this.#saidWaiting = false
      // Who is above a master is best known by that master; what was configured stays.
      const at = this.#chain.indexOf(address)
      const above = [...this.#chain.slice(0, at + 1), ...reply.chain, ...this.#options.masters]
      if (!isOff('failover')) this.#chain = this.#withoutSelf([...new Set(above)])
      log.info(`registered with ${reply.name} at ${address}`, { chain: this.#chain })
      if (before && before.address !== address) {
        await this.#peer(before.address)
          .leave(before.lease, { timeoutMs: 500 })
          .catch(() => {})
      }
      for (const done of this.#waiting) done()
      this.#waiting.clear()
      this.#options.onRegistered?.(this)
      return true
    } catch (error) {
      this.#trialFailed(address)
      if (isFailure(error, 'refused')) this.#sayRefused(error)
      return false
    }
  }

  #sayRefused(failure: Failure): void {
    if (this.#refusal?.message !== failure.message) this.#options.log.error(failure.message)
    this.#refusal = failure
  }

  async #renew(registration: Registration): Promise<void> {
    try {
      await this.#peer(registration.address).renew(registration.lease, { timeoutMs: limits.pingMs * 2 })
      this.#renewAt = this.#options.clock.now() + registration.leaseMs / 3
    } catch (error) {
      this.#onCallFailed(registration, error)
    }
  }

  /** Tries the masters before the present one, and goes back to one that has been stable. */
  async #tryReturn(): Promise<void> {
    const { clock, returnStableMs = limits.returnStableMs } = this.#options
    const at = this.#current ? this.#chain.indexOf(this.#current.address) : 0
    for (const address of this.#chain.slice(0, Math.max(0, at))) {
      const trial = this.#trials.get(address)
      if (trial && trial.nextAt > clock.now()) continue
      if (!(await this.#peer(address).ping(limits.pingMs))) {
        this.#trialFailed(address)
        continue
      }
      const upSince = trial?.upSince ?? clock.now()
      if (clock.now() - upSince >= returnStableMs && (await this.#register(address))) return
      this.#trials.set(address, { nextAt: clock.now() + Math.min(1000, returnStableMs / 4), failures: 0, upSince })
    }
  }

  #withoutSelf(chain: Address[]): Address[] {
    const own = this.#options.self.address?.()
    return chain.filter((address) => address !== own)
  }

  #trialFailed(address: Address): void {
    const failures = (this.#trials.get(address)?.failures ?? 0) + 1
    const waitMs = 100 + backoffMs(failures, { firstMs: 250, maxMs: 5000 }, this.#options.chance)
    this.#trials.set(address, { nextAt: this.#options.clock.now() + waitMs, failures, upSince: undefined })
  }

  #onCallFailed(registration: Registration, error: unknown): void {
    if (this.#current !== registration || this.#closed) return
    if (isFailure(error, 'lease-lost')) {
      this.#current = undefined
      this.#wake()
    } else if (isFailure(error, 'refused')) {
      // Registering again at once would only take the place back from who took it, for ever in turn.
      this.#current = undefined
      this.#sayRefused(error)
      this.#trials.set(registration.address, {
        nextAt: this.#options.clock.now() + refusedPauseMs,
        failures: 1,
        upSince: undefined,
      })
      this.#wake()
    } else if (isFailure(error, 'timeout', 'unreachable')) {
      void this.suspect(registration.address)
      this.#renewAt = this.#options.clock.now() + limits.pingMs
    } else if (!isFailure(error, 'aborted', 'closed')) {
      this.#options.log.warn(`${registration.address}: ${toFailure(error).message}`)
      this.#renewAt = this.#options.clock.now() + registration.leaseMs / 3
    }
  }

  #leaveSilent(why: string): void {
    const registration = this.#current
    if (!registration) return
    this.#options.log.warn(`master ${registration.address} ${why}; asking further up`)
    this.#current = undefined
    this.#trialFailed(registration.address)
    this.#wake()
  }

  #peer(address: Address): Peer {
    return this.#options.peers.at(address)
  }

  #nextWakeMs(): number {
    const now = this.#options.clock.now()
    if (!this.#current) return 50 + backoffMs(this.#roundFailures, { firstMs: 100, maxMs: 2000 }, this.#options.chance)
    const trials = this.#chain
      .slice(0, Math.max(0, this.#chain.indexOf(this.#current.address)))
      .map((address) => this.#trials.get(address)?.nextAt ?? now)
    return Math.max(10, Math.min(this.#renewAt, ...trials) - now)
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve, true)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

/** The failure of a fetch for which nobody could be asked. */
export function noMaster(chain: readonly Address[]): Failure {
  return new Failure('unavailable', `no master answers (${chain.join(', ') || 'none known'})`, {
    fields: { retryMs: 1000 },
  })
}
