import type { Clock } from '../base/clock.ts'
import type { Failure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import { type Logger, silentLogger } from '../base/log.ts'
import type { Address } from '../stream/address.ts'
import type { KeyPair } from '../zerorpc/index.ts'
import { Peer } from './peer.ts'

/** A node that goes on refusing this one is reported once in this time, ms. */
const refusedReportMs = 10_000

/** One peer, and so one connection, per address. */
export class Peers implements Closeable {
  readonly #peers = new Map<Address, Peer>()
  readonly #clock: Clock
  readonly #keys: KeyPair | undefined
  readonly #log: Logger
  readonly #onDisconnect: ((address: Address) => void)[] = []
  readonly #saidRefusedAt = new Map<Address, number>()
  /** Traffic of peers that were closed. */
  readonly #past = { sent: 0, received: 0 }

  /** `keys`: those that this node shows to others. */
  constructor(clock: Clock, options: { keys?: KeyPair | undefined; log?: Logger } = {}) {
    this.#clock = clock
    this.#keys = options.keys
    this.#log = options.log ?? silentLogger
  }

  /** `listener` is told when the connection to a peer broke: a hint, it may come back. */
  onDisconnect(listener: (address: Address) => void): void {
    this.#onDisconnect.push(listener)
  }

  at(address: Address): Peer {
    let peer = this.#peers.get(address)
    if (!peer) {
      peer = new Peer(address, this.#clock, this.#keys)
      peer.onRefused((failure) => this.#sayRefused(address, failure))
      this.#peers.set(address, peer)
      peer.onDisconnect(() => {
        for (const listener of this.#onDisconnect) listener(address)
      })
    }
    return peer
  }

  /** ZeroMQ tries again all the time: the operator is told now and then. */
  #sayRefused(address: Address, failure: Failure): void {
    const now = this.#clock.now()
    if (now - (this.#saidRefusedAt.get(address) ?? Number.NEGATIVE_INFINITY) < refusedReportMs) return
    this.#saidRefusedAt.set(address, now)
    this.#log.error(failure.message)
  }

  known(): Peer[] {
    return [...this.#peers.values()]
  }

  /** Closes the connection to a node that is not needed any more. */
  async forget(address: Address): Promise<void> {
    const peer = this.#peers.get(address)
    if (!peer) return
    this.#peers.delete(address)
    this.#saidRefusedAt.delete(address)
    this.#past.sent += peer.traffic.sent
    this.#past.received += peer.traffic.received
    await peer.close()
  }

  /** Bytes of all frames sent to and received from peers. */
  get traffic(): { sent: number; received: number } {
    return this.known().reduce(
      (sum, peer) => ({ sent: sum.sent + peer.traffic.sent, received: sum.received + peer.traffic.received }),
      this.#past,
    )
  }

  async close(): Promise<void> {
    await Promise.all(this.known().map((peer) => peer.close()))
  }
}
