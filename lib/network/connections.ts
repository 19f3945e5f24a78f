import type { Clock } from '../base/clock.ts'
import { Failure, isFailure } from '../base/errors.ts'
import { type Address, addressOf, splitAddress } from '../stream/address.ts'
import {
  type CallOptions,
  type ClientCurve,
  type KeyPair,
  newKeyPair,
  type Reply,
  RpcClient,
} from '../zerorpc/index.ts'

/** Chunks, and everything else: on a slow line a question that waits behind chunks would make a living node look dead. */
export type Lane = 'chunks' | 'control'

export interface ConnectionsOptions {
  clock: Clock
  /** Own keys; needed, and used, where the address names the key of the other. */
  keys: KeyPair | undefined
  /** Past this without a message, the connection for chunks is dead; at present, ms. */
  silentMs: () => number
}

/** On a slow line heartbeats wait behind chunks. Calls have times of their own, and a dead connection is found otherwise, ms. */
const chunksLostAfterMs = 120_000
/** A node that refused this one is asked again after this, ms. */
const refusedPauseMs = 500

/** The connections to one node: one for each lane, made when it is first used, and made anew when it is dead or was refused. */
export class Connections {
  readonly #address: Address
  readonly #clock: Clock
  readonly #silentMs: () => number
  readonly #curve: ClientCurve | undefined
  readonly #unkeyed: Failure | undefined
  readonly #lanes = new Map<Lane, RpcClient>()
  /** When the lane of chunks was given up last, by the monotonic clock, ms. */
  #chunksAnewAt = 0
  #closed = false
  /** The last connection was refused, and when. ZeroMQ gives such a one up for good. */
  #refusal: { failure: Failure; at: number } | undefined
  /** Bytes of connections that are gone. */
  readonly #past = { sent: 0, received: 0 }
  readonly #onDisconnect: (() => void)[] = []
  readonly #onRefused: ((failure: Failure) => void)[] = []

  constructor(address: Address, { clock, keys, silentMs }: ConnectionsOptions) {
    this.#address = address
    this.#clock = clock
    this.#silentMs = silentMs
    const { key } = splitAddress(address)
    // Without keys of its own a viewer shows fresh ones: they hide what is sent, and say nothing of who it is.
    this.#curve = key && { keys: keys ?? newKeyPair(), serverKey: key }
    if (keys && !key) this.#unkeyed = unkeyed(address)
  }

  async call(lane: Lane, method: string, args: unknown[], options: CallOptions = {}): Promise<Reply> {
    if (this.#unkeyed) throw this.#unkeyed
    if (this.#refusal) this.#connectAnew(this.#refusal)
    const rpc = this.#lane(lane)
    const askedAt = this.#clock.now()
    try {
      return await rpc.call(method, args, options)
    } catch (error) {
      const isSilent = Math.max(rpc.heardAt, this.#chunksAnewAt) < askedAt
      if (lane === 'chunks' && isSilent && isFailure(error, 'timeout')) this.#chunksAnew(rpc)
      throw error
    }
  }

  /**
   * Whether the node lives: its event loop answers within `withinMs`. An overloaded one may be late with the answer while its chunks keep coming: if it is
   * heard of meanwhile it is asked again, and lives if it is heard of then, too. When not, all calls end and all connections are made anew.
   */
  async ping(withinMs: number): Promise<boolean> {
    const beganAt = this.#clock.now()
    const looking = this.#lookAtChunks(withinMs)
    let answer = await this.#ask(withinMs)
    if (answer === 'late') answer = await this.#ask(withinMs)
    if (answer === 'silent') {
      this.abandon()
      for (const rpc of this.#lanes.values()) rpc.reconnect()
    } else if (answer === 'late') {
      // A connection that lost the beginnings of its frames, or that TCP tries ever more seldom, does not heal by itself.
      const control = this.#lane('control')
      if (control.heardAt < beganAt) control.reconnect()
    }
    await looking
    return answer === 'given' || answer === 'late'
  }

  /** Connects beforehand, so that the first call does not wait for it. */
  open(lane: Lane): void {
    this.#lane(lane)
  }

  /** Called when a connection broke: a hint, it may come back. */
  onDisconnect(listener: () => void): void {
    this.#onDisconnect.push(listener)
  }

  /** `listener` is told when the other node and this one could not agree on keys; ZeroMQ tries again by itself. */
  onRefused(listener: (failure: Failure) => void): void {
    this.#onRefused.push(listener)
  }

  /** Ends all calls in progress with `unreachable`: the node was found dead. */
  abandon(): void {
    this.#endCalls(new Failure('unreachable', `${this.#address} does not answer`))
  }

  /** Bytes of all frames. */
  get traffic(): { sent: number; received: number } {
    const sum = { ...this.#past }
    for (const { bytesSent, bytesReceived } of this.#lanes.values()) {
      sum.sent += bytesSent
      sum.received += bytesReceived
    }
    return sum
  }

  async close(): Promise<void> {
    this.#closed = true
    this.abandon()
    await Promise.all([...this.#lanes.values()].map((rpc) => rpc.close()))
  }

  /** `late`: no answer within `withinMs`, but something else came from the node. */
  async #ask(withinMs: number): Promise<'given' | 'late' | 'silent' | 'refused'> {
    const askedAt = this.#clock.now()
    try {
      await this.#lane('control').call('ping', [], { timeoutMs: withinMs })
      return 'given'
    } catch (error) {
      // Who cannot agree with this node on keys is of no use to it.
      if (isFailure(error, 'refused')) return 'refused'
      // An error that the node sent is an answer, too.
      if (!isFailure(error, 'timeout', 'unreachable', 'closed')) return 'given'
      return [...this.#lanes.values()].some((rpc) => rpc.heardAt >= askedAt) ? 'late' : 'silent'
    }
  }

  /** A living node may have a dead connection for chunks: it is given up when nothing comes on it, no answer either, for too long. */
  async #lookAtChunks(withinMs: number): Promise<void> {
    const rpc = this.#lanes.get('chunks')
    const oldestCallAt = rpc?.oldestCallAt
    if (!rpc || oldestCallAt === undefined) return
    const answers = rpc.call('ping', [], { timeoutMs: withinMs })
    if (await answers.then(() => true).catch((error) => !isFailure(error, 'timeout', 'unreachable'))) return
    const silentMs = this.#clock.now() - Math.max(oldestCallAt, rpc.heardAt, this.#chunksAnewAt)
    if (silentMs > this.#silentMs()) this.#chunksAnew(rpc)
  }

  #chunksAnew(rpc: RpcClient): void {
    this.#chunksAnewAt = this.#clock.now()
    rpc.abandon(new Failure('unreachable', `the connection for chunks to ${this.#address} is dead`))
    rpc.reconnect()
  }

  #lane(lane: Lane): RpcClient {
    const known = this.#lanes.get(lane)
    if (known) return known
    if (this.#closed) throw new Failure('closed', `the connection to ${this.#address} is closed`)
    const rpc = this.#connect(lane)
    this.#lanes.set(lane, rpc)
    return rpc
  }

  #connect(lane: Lane): RpcClient {
    const { host, port } = splitAddress(this.#address)
    const rpc = new RpcClient(addressOf(host, port), {
      clock: this.#clock,
      curve: this.#curve,
      ...(lane === 'chunks' && { lostAfterMs: chunksLostAfterMs }),
    })
    rpc.onDisconnect(() => {
      for (const listener of this.#onDisconnect) listener()
    })
    rpc.onRefused((why) => {
      if ([...this.#lanes.values()].includes(rpc))
        this.#refused(refusal(this.#address, why, this.#curve?.keys.publicKey))
    })
    return rpc
  }

  /** The other side may have changed its mind; it is asked again, but not all the time. Throws the refusal meanwhile. */
  #connectAnew({ failure, at }: { failure: Failure; at: number }): void {
    if (this.#clock.now() - at < refusedPauseMs) throw failure
    Object.assign(this.#past, this.traffic)
    this.#refusal = undefined
    for (const old of this.#lanes.values()) void old.close()
    this.#lanes.clear()
  }

  #refused(failure: Failure): void {
    this.#refusal = { failure, at: this.#clock.now() }
    this.#endCalls(failure)
    for (const listener of this.#onRefused) listener(failure)
  }

  #endCalls(reason: Failure): void {
    for (const rpc of this.#lanes.values()) rpc.abandon(reason)
  }
}

/** A node with keys does not talk to one that it cannot know. */
function unkeyed(address: Address): Failure {
  return new Failure(
    'refused',
    `this node has keys, so it must know the key of ${address}; give it as tcp://KEY@HOST:PORT or with --master-key`,
  )
}

function refusal(address: Address, why: 'auth' | 'keys', own: Uint8Array | undefined): Failure {
  if (own === undefined)
    return new Failure('refused', `${address} talks only to nodes with keys; give its key as tcp://KEY@HOST:PORT`)
  const key = Buffer.from(own).toString('base64url')
  return new Failure(
    'refused',
    why === 'auth'
      ? `${address} does not admit the key ${key}; ask its operator for a line in the file of --allow`
      : `${address} does not show the key that its address names; check the key, and that the node runs with --keyfile`,
  )
}
