import { type Clock, systemClock } from '../base/clock.ts'
import type { Lifecycle } from '../base/lifecycle.ts'
import type { Logger } from '../base/log.ts'
import { warningOfProtections } from '../base/protections.ts'
import type { Method, NodeStats } from '../network/contract.ts'
import type { Peers } from '../network/peers.ts'
import type { Traffic } from '../network/traffic.ts'
import type { Uploads } from '../store/uploads.ts'
import { type Address, addressOf, splitAddress } from '../stream/address.ts'
import { type KeyPair, RpcServer } from '../zerorpc/index.ts'
import type { Admission } from './admission.ts'
import { authorise, type Publishers } from './authorise.ts'
import { Children } from './children.ts'
import { peakMemoryBytes } from './memory.ts'
import { addressTowards, bindsEverywhere, firstOwnAddress, isLoopback } from './own-address.ts'
import type { Provider } from './provider.ts'
import { Publishing } from './publishing.ts'
import { Service } from './service.ts'

export interface RunningNode {
  /** Under which others reach it. */
  readonly address: Address
  stats(): NodeStats
  /** Takes no new calls, lets those in progress end, leaves its master, closes its store. Idempotent; waits. */
  close(): Promise<void>
}

export interface NodeParts {
  provider: Provider
  peers: Peers
  traffic: Traffic
  /** What publishers hand over; none at a relay. */
  uploads?: Uploads
  /** Owns the parts; the node adds its server and children, which therefore close first. */
  lifecycle: Lifecycle
}

export interface ListenOptions {
  name: string
  ip: string
  port: number
  masters?: Address[]
  /** Who may publish at a node without keys; default `loopback`. */
  publishers?: Publishers
  /** Own keys: nobody connects but who is admitted. */
  keys?: KeyPair
  admission?: Admission
  log: Logger
  clock?: Clock
}

/** What source and relay have in common: the server, the children, the figures. */
export class Node implements RunningNode {
  readonly #role: 'source' | 'relay'
  readonly #options: ListenOptions
  readonly #parts: NodeParts
  readonly #children: Children
  readonly #server: RpcServer
  readonly #clock: Clock
  readonly #startedAt: number
  #address: Address = ''
  #isOnLoopback = false

  constructor(role: 'source' | 'relay', options: ListenOptions, parts: NodeParts) {
    const { clock = systemClock, log, name } = options
    this.#role = role
    this.#options = options
    this.#parts = parts
    this.#clock = clock
    this.#startedAt = clock.now()
    const { provider, peers, traffic, lifecycle } = parts
    this.#children = lifecycle.own(
      new Children({ clock, log, peers, self: () => this.#address, chain: () => provider.chain }),
    )
    const publishing = new Publishing({ uploads: parts.uploads, traffic })
    const service = new Service({
      name,
      provider,
      children: this.#children,
      publishing,
      traffic,
      clock,
      stats: () => this.stats(),
      authorise: (method, key) => this.#authorise(method, key),
      roleOf: (key) => options.admission?.find(key)?.role,
    })
    const { keys, admission } = options
    const curve = keys && { keys, admits: (key: Buffer, from: string) => admission?.admits(key, from) ?? false }
    this.#server = lifecycle.own(new RpcServer({ clock, name, methods: service.methods(), curve }))
  }

  get address(): Address {
    return this.#address
  }

  async listen(): Promise<void> {
    const { ip, port, masters = [], keys, log } = this.#options
    const endpoint = await this.#server.bind(addressOf(ip, port))
    this.#isOnLoopback = isLoopback(splitAddress(endpoint).host)
    const host = bindsEverywhere(ip) ? await this.#reachableHost(masters) : ip
    this.#address = addressOf(host, splitAddress(endpoint).port, keys?.publicKey)
    const warning = warningOfProtections()
    if (warning) log.warn(warning)
    if (!keys && !this.#isOnLoopback)
      log.warn(
        `ANYBODY WHO REACHES ${this.#address} MAY CONNECT: this node has no keys; make them with peerstreamer keygen`,
      )
  }

  stats(): NodeStats {
    const { provider, traffic, peers } = this.#parts
    const rpc = {
      sent: this.#server.bytesSent + peers.traffic.sent,
      received: this.#server.bytesReceived + peers.traffic.received,
    }
    return {
      name: this.#options.name,
      role: this.#role,
      admission: this.#options.keys ? 'keys' : 'open',
      address: this.#address,
      uptimeSeconds: Math.round((this.#clock.now() - this.#startedAt) / 1000),
      wallTimeMs: this.#clock.wallTimeMs(),
      master: provider.master,
      children: this.#children.stats(),
      bytesSent: traffic.bytesSent,
      bytesReceived: traffic.bytesReceived,
      chunksSent: traffic.chunksSent,
      chunksReceived: traffic.chunksReceived,
      bytesFrom: { ...traffic.bytesFrom },
      bytesByPeer: { ...traffic.bytesByPeer },
      badChunks: traffic.badChunks + provider.badChunks,
      hedges: traffic.hedges,
      controlBytes: { sent: rpc.sent - traffic.bytesSent, received: rpc.received - traffic.bytesReceived },
      store: provider.stored,
      memoryBytes: process.memoryUsage.rss(),
      peakMemoryBytes: peakMemoryBytes(),
    }
  }

  async close(): Promise<void> {
    this.#server.drain()
    await this.#parts.lifecycle.close()
  }

  #authorise(method: Method, key: Buffer | undefined): void {
    const { name, publishers = 'loopback', admission } = this.#options
    const admitted = admission && { role: admission.find(key)?.role }
    authorise({ admitted, isOnLoopback: this.#isOnLoopback }, method, { name, role: this.#role, publishers })
  }
  async #reachableHost(masters: Address[]): Promise<string> {
    const [master] = masters
    return (master === undefined ? undefined : await addressTowards(master)) ?? firstOwnAddress()
  }
}
