import type * as v from 'valibot'
import { type Clock, systemClock } from '../base/clock.ts'
import { Failure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Address } from '../stream/address.ts'
import type { Signed } from '../stream/signed.ts'
import type { PublicKey } from '../stream/signing.ts'
import type { CallOptions, KeyPair, Reply } from '../zerorpc/index.ts'
import { Connections } from './connections.ts'
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

/** A typed client of one node, and what this node learnt of it: pace and trust. */
export class Peer {
  readonly address: Address
  readonly pace = new Pace()
  /** What it granted a streamer with its last data, bytes; nothing before. */
  windowBytes = 0
  /** It was late or silent: siblings are asked in its place until then, by the monotonic clock, ms. */
  avoidUntil = 0
  /** It did not answer at all: until then it is not asked as a sibling, by the monotonic clock, ms. */
  lostUntil = 0
  #lateInARow = 0
  /** Runs that it sent wrong, by the monotonic clock, ms; the newest last. */
  readonly badAt: number[] = []
  readonly #clock: Clock
  readonly #connections: Connections

  /** `keys`: those that this node shows; needed, and used, where the address names the key of the other. */
  constructor(address: Address, clock: Clock = systemClock, keys?: KeyPair) {
    this.address = address
    this.#clock = clock
    this.#connections = new Connections(address, { clock, keys, silentMs: () => this.pace.silentMs })
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
    const reply = await this.#connections.call('chunks', 'get', [name, index, get], options)
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
  ping(withinMs: number): Promise<boolean> {
    return this.#connections.ping(withinMs)
  }

  /** Connects for chunks beforehand, so that the first of them does not wait for it. */
  openForChunks(): void {
    this.#connections.open('chunks')
  }

  /** Called when a connection broke: a hint, it may come back. */
  onDisconnect(listener: () => void): void {
    this.#connections.onDisconnect(listener)
  }

  /** `listener` is told when the other node and this one could not agree on keys; ZeroMQ tries again by itself. */
  onRefused(listener: (failure: Failure) => void): void {
    this.#connections.onRefused(listener)
  }

  /** Ends all calls in progress with `unreachable`: the node was found dead. */
  abandon(): void {
    this.#connections.abandon()
  }

  /** Notes that it was late or silent: it is avoided, longer each time in a row. */
  late(): void {
    const now = this.#clock.now()
    // Several requests that were under way together are late together.
    if (now < this.avoidUntil) return
    this.avoidUntil = now + Math.min(avoidMs.most, avoidMs.first * 2 ** this.#lateInARow++)
  }

  /** Notes that it was found dead, or did not answer. */
  lost(): void {
    this.lostUntil = this.#clock.now() + avoidMs.first
    this.late()
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
    return this.#connections.traffic
  }

  close(): Promise<void> {
    return this.#connections.close()
  }

  #call(method: string, args: unknown[], options?: CallOptions): Promise<Reply> {
    return this.#connections.call('control', method, args, options)
  }

  #checked<S extends v.GenericSchema>(schema: S, reply: Reply): v.InferOutput<S> {
    return parseReply(schema, reply.value, this.address)
  }
}

function joined(frames: Uint8Array[]): Uint8Array | undefined {
  return frames.length > 1 ? Buffer.concat(frames) : frames[0]
}
