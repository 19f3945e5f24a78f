import type * as v from 'valibot'
import { type Clock, systemClock } from '../base/clock.ts'
import { Failure, isFailure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type Address, addressOf, splitAddress } from '../stream/address.ts'
import type { Signed } from '../stream/signed.ts'
import type { PublicKey } from '../stream/signing.ts'
import {
  type CallOptions,
  type ClientCurve,
  type KeyPair,
  newKeyPair,
  type Reply,
  RpcClient,
} from '../zerorpc/index.ts'
import {
  type GetReply,
  type NodeStats,
  type PublishReply,
  parseReply,
  type QueryPart,
  type RegisterReply,
  replySchemas,
  type StreamRow,
} from './contract.ts'
import { Pace } from './pace.ts'

export interface GetOptions {
  count?: number
  epoch?: number
  waitMs?: number
  local?: boolean
  lease?: string
  refer?: boolean
}

export interface HoldingsChange {
  name: string
  epoch: number
  have: [number, number][]
  lost: [number, number][]
}

/** For how long a node that was late or silent is avoided. */
const avoidMs = { first: 5000, most: 60_000 }
/** A node that refused this one is asked again after this, ms. */
const refusedPauseMs = 500

/** Chunks, and everything else: on a slow line a question that waits behind chunks would make a living node look dead. */
type Lane = 'chunks' | 'control'

/** A typed client of one node, with a connection for each lane that is used, and what this node learnt of it: pace and trust. */
export class Peer {
  readonly address: Address
  readonly pace = new Pace()
  /** What it granted a streamer with its last data, bytes; nothing before. */
  windowBytes = 0
  /** It was late or silent: siblings are asked in its place until then, by the monotonic clock, ms. */
  avoidUntil = 0
  #lateInARow = 0
  /** Runs that it sent wrong, by the monotonic clock, ms; the newest last. */
  readonly badAt: number[] = []
  readonly #clock: Clock
  readonly #curve: ClientCurve | undefined
  readonly #lanes = new Map<Lane, RpcClient>()
  /** When the lane of chunks was given up last, by the monotonic clock, ms. */
  #chunksAnewAt = 0
  #closed = false
  /** The last connection was refused, and when. ZeroMQ gives such a one up for good. */
  #refusal: { failure: Failure; at: number } | undefined
  readonly #past = { sent: 0, received: 0 }
  readonly #onDisconnect: (() => void)[] = []
  readonly #calls = new Map<AbortController, { lane: Lane; askedAt: number }>()
  readonly #onRefused: ((failure: Failure) => void)[] = []
  #unkeyed: Failure | undefined

  /** `keys`: those that this node shows; needed, and used, where the address names the key of the other. */
  constructor(address: Address, clock: Clock = systemClock, keys?: KeyPair) {
    this.address = address
    this.#clock = clock
    const { key } = splitAddress(address)
    // Without keys of its own a viewer shows fresh ones: they hide what is sent, and say nothing of who it is.
    this.#curve = key && { keys: keys ?? newKeyPair(), serverKey: key }
    if (keys && !key) this.#unkeyed = unkeyed(address)
  }

  async list(options?: CallOptions): Promise<StreamRow[]> {
    return this.#checked(replySchemas.list, await this.#call('list', [], options))
  }

  async describe(name: string, options?: CallOptions): Promise<Signed> {
    return this.#checked(replySchemas.describe, await this.#call('describe', [name], options))
  }

  async pages(name: string, from: number, count: number, epoch: number, options?: CallOptions): Promise<Signed[]> {
    return this.#checked(replySchemas.pages, await this.#call('pages', [name, from, count, epoch], options))
  }

  /** `data` comes unverified. */
  async get(name: string, index: number, get: GetOptions, options?: CallOptions): Promise<GetReply> {
    const reply = await this.#call('get', [name, index, get], options)
    const value = this.#checked(replySchemas.get, reply)
    if (value.status !== 'data') return value
    const data = value.data ?? joined(reply.payload)
    if (!data) throw new Failure('bad-format', `${this.address} promised chunk ${index} of ${name} and sent no bytes`)
    this.windowBytes = value.windowBytes ?? limits.windowBytes
    return { ...value, data }
  }

  async query(
    name: string,
    window: { first: number; end: number; epoch: number; lease: string; avoid: Address[] },
    options?: CallOptions,
  ): Promise<QueryPart[]> {
    const { first, end, lease, epoch, avoid } = window
    const asked = avoid.length > 0 ? { epoch, avoid } : { epoch }
    return this.#checked(
      replySchemas.query,
      await this.#call('query', [name, first, end - first, lease, asked], options),
    )
  }

  async register(node: { name: string; address?: Address }, options?: CallOptions): Promise<RegisterReply> {
    return this.#checked(replySchemas.register, await this.#call('register', [node], options))
  }

  async renew(lease: string, options?: CallOptions): Promise<void> {
    await this.#call('renew', [lease], options)
  }

  async report(lease: string, changes: HoldingsChange[], options?: CallOptions): Promise<void> {
    await this.#call('report', [lease, changes], options)
  }

  async leave(lease: string, options?: CallOptions): Promise<void> {
    await this.#call('leave', [lease], options)
  }

  async publishCheck(
    name: string,
    publicKey: PublicKey,
    asked: { replace: boolean },
    options?: CallOptions,
  ): Promise<{ epoch: number }> {
    const args = [name, publicKey.toString('base64url'), asked]
    return this.#checked(replySchemas.publishCheck, await this.#call('publishCheck', args, options))
  }

  async publish(
    descriptor: Signed,
    contentDigest: Uint8Array,
    asked: { replace: boolean },
    options?: CallOptions,
  ): Promise<PublishReply> {
    return this.#checked(replySchemas.publish, await this.#call('publish', [descriptor, contentDigest, asked], options))
  }

  async publishPages(upload: string, from: number, pages: Signed[], options?: CallOptions): Promise<void> {
    await this.#call('publishPages', [upload, from, pages], options)
  }

  /** Only after an answer of the node, which tells whether it takes payload frames. `bytes` must stay as they are. */
  async publishChunks(
    upload: string,
    first: number,
    count: number,
    bytes: Uint8Array,
    options?: CallOptions,
  ): Promise<void> {
    await this.#call('publishChunks', [upload, first, count], { ...options, payload: [bytes] })
  }

  async publishEnd(upload: string, options?: CallOptions): Promise<void> {
    await this.#call('publishEnd', [upload], options)
  }

  /** What the node says of itself; shown to people, decided by nobody, so its form is not checked further. */
  async stats(options?: CallOptions): Promise<NodeStats> {
    return (await this.#call('stats', [], options)).value as NodeStats
  }

  /** Whether the node's event loop answers within `withinMs`; when not, its calls end and its connections are made anew. */
  async ping(withinMs: number): Promise<boolean> {
    try {
      const looking = this.#lookAtChunks(withinMs)
      await this.#lane('control').call('ping', [], { timeoutMs: withinMs })
      await looking
      return true
    } catch (error) {
      // Who cannot agree with this node on keys is of no use to it.
      if (isFailure(error, 'refused')) return false
      // An error that the node sent is an answer, too.
      if (!isFailure(error, 'timeout', 'unreachable', 'closed')) return true
      // A connection that lost the beginnings of its frames, or that TCP tries ever more seldom, does not heal by itself.
      this.abandon()
      for (const rpc of this.#lanes.values()) rpc.reconnect()
      return false
    }
  }

  /** Called when the connection broke: a hint, it may come back. */
  onDisconnect(listener: () => void): void {
    this.#onDisconnect.push(listener)
  }

  /** `listener` is told when the other node and this one could not agree on keys; ZeroMQ tries again by itself. */
  onRefused(listener: (failure: Failure) => void): void {
    this.#onRefused.push(listener)
  }

  /** Ends all calls in progress with `unreachable`: the node was found dead. */
  abandon(): void {
    this.#endCalls(new Failure('unreachable', `${this.address} does not answer`))
  }

  /** Notes that it was late or silent: it is avoided, longer each time in a row. */
  late(): void {
    const now = this.#clock.now()
    // Several requests that were under way together are late together.
    if (now < this.avoidUntil) return
    this.avoidUntil = now + Math.min(avoidMs.most, avoidMs.first * 2 ** this.#lateInARow++)
  }

  /** Notes that it gave so many bytes in time. */
  answered(tookMs: number, bytes: number): void {
    this.pace.record(tookMs, bytes, this.#clock.now())
    this.#lateInARow = 0
  }

  /** Notes wrong bytes. */
  bad(): void {
    this.badAt.push(this.#clock.now())
    if (this.badAt.length > 16) this.badAt.shift()
  }

  get traffic(): { sent: number; received: number } {
    const sum = { ...this.#past }
    for (const { bytesSent, bytesReceived } of this.#lanes.values()) {
      sum.sent += bytesSent
      sum.received += bytesReceived
    }
    return sum
  }

  /** Connects for chunks beforehand, so that the first of them does not wait for it. */
  openForChunks(): void {
    this.#lane('chunks')
  }

  async close(): Promise<void> {
    this.#closed = true
    this.abandon()
    await Promise.all([...this.#lanes.values()].map((rpc) => rpc.close()))
  }

  // Not AbortSignal.any: on Node 20 it keeps every combined signal for as long as its sources live.
  async #call(method: string, args: unknown[], options: CallOptions = {}): Promise<Reply> {
    if (this.#unkeyed) throw this.#unkeyed
    if (this.#refusal) this.#connectAnew(this.#refusal)
    const lane = method === 'get' ? 'chunks' : 'control'
    const rpc = this.#lane(lane)
    const askedAt = this.#clock.now()
    const call = new AbortController()
    const parent = options.signal
    const onParentAbort = () => call.abort(parent?.reason)
    if (parent?.aborted) onParentAbort()
    else parent?.addEventListener('abort', onParentAbort, { once: true })
    this.#calls.set(call, { lane, askedAt })
    try {
      return await rpc.call(method, args, { ...options, signal: call.signal })
    } catch (error) {
      const isSilent = Math.max(rpc.heardAt, this.#chunksAnewAt) < askedAt
      if (lane === 'chunks' && isSilent && isFailure(error, 'timeout')) this.#chunksAnew(rpc)
      throw error
    } finally {
      this.#calls.delete(call)
      parent?.removeEventListener('abort', onParentAbort)
    }
  }

  /** A living node does not show that the connection for chunks lives, too: that is given up when nothing comes on it, no answer either, for longer than a run takes. */
  async #lookAtChunks(withinMs: number): Promise<void> {
    const rpc = this.#lanes.get('chunks')
    const [oldest] = [...this.#calls.values()].filter(({ lane }) => lane === 'chunks')
    if (!rpc || !oldest) return
    const answers = rpc.call('ping', [], { timeoutMs: withinMs })
    if (await answers.then(() => true).catch((error) => !isFailure(error, 'timeout', 'unreachable'))) return
    const silentMs = this.#clock.now() - Math.max(oldest.askedAt, rpc.heardAt, this.#chunksAnewAt)
    if (silentMs > this.pace.silentMs) this.#chunksAnew(rpc)
  }

  #chunksAnew(rpc: RpcClient): void {
    this.#chunksAnewAt = this.#clock.now()
    this.#endCalls(new Failure('unreachable', `the connection for chunks to ${this.address} is dead`), 'chunks')
    rpc.reconnect()
  }

  #lane(lane: Lane): RpcClient {
    const known = this.#lanes.get(lane)
    if (known) return known
    if (this.#closed) throw new Failure('closed', `the connection to ${this.address} is closed`)
    const rpc = this.#connect()
    this.#lanes.set(lane, rpc)
    return rpc
  }

  #connect(): RpcClient {
    const { host, port } = splitAddress(this.address)
    const rpc = new RpcClient(addressOf(host, port), { clock: this.#clock, curve: this.#curve })
    rpc.onDisconnect(() => {
      for (const listener of this.#onDisconnect) listener()
    })
    rpc.onRefused((why) => {
      if ([...this.#lanes.values()].includes(rpc))
        this.#refused(refusal(this.address, why, this.#curve?.keys.publicKey))
    })
    return rpc
  }

  /** The other side may have changed its mind; it is asked again, but not all the time. Throws the refusal meanwhile. */
  #connectAnew({ failure, at }: { failure: Failure; at: number }): void {
    if (this.#clock.now() - at < refusedPauseMs) throw failure
    const { sent, received } = this.traffic
    Object.assign(this.#past, { sent, received })
    this.#refusal = undefined
    for (const old of this.#lanes.values()) void old.close()
    this.#lanes.clear()
  }

  #refused(failure: Failure): void {
    this.#refusal = { failure, at: this.#clock.now() }
    this.#endCalls(failure)
    for (const listener of this.#onRefused) listener(failure)
  }

  #endCalls(reason: Failure, only?: Lane): void {
    for (const [call, { lane }] of [...this.#calls]) if (only === undefined || only === lane) call.abort(reason)
  }

  #checked<S extends v.GenericSchema>(schema: S, reply: Reply): v.InferOutput<S> {
    return parseReply(schema, reply.value, this.address)
  }
}

function joined(frames: Uint8Array[]): Uint8Array | undefined {
  return frames.length > 1 ? Buffer.concat(frames) : frames[0]
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
