import type { Clock } from '../base/clock.ts'
import type { Closeable } from '../base/lifecycle.ts'
import type { Address } from '../stream/address.ts'
import { Peer } from './peer.ts'

/** One peer, and so one connection, per address. */
export class Peers implements Closeable {
  readonly #peers = new Map<Address, Peer>()
  readonly #clock: Clock
  readonly #onDisconnect: ((address: Address) => void)[] = []
  /** Traffic of peers that were closed. */
  readonly #past = { sent: 0, received: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `listener` is told when the connection to a peer broke: a hint, it may come back. */
  onDisconnect(listener: (address: Address) => void): void {
    this.#onDisconnect.push(listener)
  }

  at(address: Address): Peer {
    let peer = this.#peers.get(address)
    if (!peer) {
      peer = new Peer(address, this.#clock)
      this.#peers.set(address, peer)
      peer.onDisconnect(() => {
        for (const listener of this.#onDisconnect) listener(address)
      })
    }
    return peer
  }

  known(): Peer[] {
    return [...this.#peers.values()]
  }

  /** Closes the connection to a node that is not needed any more. */
  async forget(address: Address): Promise<void> {
    const peer = this.#peers.get(address)
    if (!peer) return
    this.#peers.delete(address)
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
