import { randomBytes } from 'node:crypto'
import { Context, Router } from 'zeromq'
import { type Clock, systemClock } from '../base/clock.ts'
import { errnoOf, Failure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import { receiveEach } from './breather.ts'
import { type KeyPair, ProofChecker, z85 } from './curve.ts'
import { decodeEvent, type Event, encodeEvent, idKey, type MessageId } from './event.ts'
import { Heartbeat } from './heartbeat.ts'
import { lingerMs, type RpcOptions } from './options.ts'
import { SendQueue } from './send-queue.ts'
import { ServerChannel } from './server-channel.ts'
import { type Admits, ZapHandler } from './zap.ts'

export interface CallContext {
  /** Aborts when the caller is lost or the server closes. */
  signal: AbortSignal
  /** Names the connection of the caller. */
  peer: string
  /** Frames that came with the request. */
  payload: Uint8Array[]
  /** The CURVE key that the caller has proved to have; undefined without CURVE, or from a client that does not say. */
  key: Buffer | undefined
}

/** Own keys, and who may connect. */
export interface ServerCurve {
  keys: KeyPair
  admits: Admits
}

/** Returns the answer: a value, a `WithPayload`, a promise of either, or an async iterable of them for a streamed answer. */
export type Handler = (args: unknown[], context: CallContext) => unknown

export interface Method {
  handle: Handler
  doc?: string
  /** Names of the arguments, for people. */
  args?: string[]
}

export interface RpcServerOptions extends RpcOptions {
  /** Shown by `_zerorpc_inspect`. */
  name?: string
  methods: ReadonlyMap<string, Method>
  /** Calls in progress at most; default `limits.callsPerServer`. */
  maxCalls?: number
  /** Lets nobody connect but who has an admitted key. */
  curve?: ServerCurve | undefined
  /** Told of errors in handlers that are no `Failure`: faults of the program. */
  onFault?(error: unknown, method: string): void
}

/** A zerorpc server on one ROUTER socket. Nothing that a caller sends can stop it. */
export class RpcServer implements Closeable {
  readonly #options: RpcServerOptions
  readonly #clock: Clock
  readonly #socket: Router
  readonly #heartbeat: Heartbeat
  readonly #out: SendQueue
  readonly #methods: ReadonlyMap<string, Method>
  readonly #zap: ZapHandler | undefined
  readonly #proofs: ProofChecker | undefined
  readonly #channels = new Map<string, ServerChannel>()
  /** What to do when a caller tells that it has read the frames of a reply, by its call. */
  readonly #unread = new Map<string, () => void>()
  #receiving: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #draining = false
  bytesReceived = 0

  constructor(options: RpcServerOptions) {
    const { clock = systemClock, maxFrameBytes = limits.frameBytes } = options
    const { sendQueueMessages = limits.sendQueueMessages } = options
    this.#options = options
    this.#clock = clock
    this.#heartbeat = new Heartbeat(clock, options)
    const { curve } = options
    // A context of its own: there is one ZAP handler to a context.
    const context = curve && new Context()
    this.#zap = context && curve && new ZapHandler(context, curve.admits)
    this.#proofs = curve && new ProofChecker(curve.keys.secretKey)
    this.#socket = new Router({
      ...(context && { context }),
      ...(curve && {
        curveServer: true,
        curveSecretKey: z85(curve.keys.secretKey),
        zapDomain: 'peerstreamer',
        zapEnforceDomain: true,
      }),
      linger: lingerMs,
      mandatory: true,
      sendTimeout: 0,
      sendHighWaterMark: sendQueueMessages,
      receiveHighWaterMark: limits.requestsPerPeer,
      maxMessageSize: maxFrameBytes,
      handshakeInterval: 2000,
    })
    this.#out = new SendQueue({
      clock,
      send: (frames) => this.#socket.send(frames),
      perPeer: { messages: limits.stalledMessages, bytes: limits.stalledBytes },
      onGone: (peer) => this.#peerGone(peer),
    })
    this.#methods = new Map([...options.methods, ...this.#builtIns()])
  }

  /** Binds to `tcp://host:port` (port 0 or `*` for a free one) and returns the real endpoint. Throws `port-in-use`. */
  async bind(endpoint: string): Promise<string> {
    await this.#zap?.open()
    try {
      await this.#socket.bind(endpoint.replace(/:0$/, ':*'))
    } catch (error) {
      throw bindFailure(endpoint, error)
    }
    this.#receiving = this.#receive()
    return this.#socket.lastEndpoint ?? endpoint
  }

  get callsInProgress(): number {
    return this.#channels.size
  }

  get bytesSent(): number {
    return this.#out.bytesSent
  }

  /** Takes no new calls; answers them with `closed`. */
  drain(): void {
    this.#draining = true
  }

  /** Ends all calls and the socket; idempotent; waits. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#draining = true
    this.#heartbeat.close()
    for (const channel of [...this.#channels.values()]) channel.cancel(new Failure('closed', 'the node is closing'))
    await this.#out.close()
    this.#socket.close()
    await this.#receiving
    await this.#zap?.close()
  }

  async #receive(): Promise<void> {
    try {
      await receiveEach(this.#socket, (frames, bytes) => {
        this.bytesReceived += bytes
        this.#take(frames)
      })
    } catch (error) {
      if (!this.#closing) this.#options.onFault?.(error, 'receive')
    }
  }

  #take(frames: Uint8Array[]): void {
    const delimiter = frames.findIndex((frame) => frame.length === 0)
    const body = frames[delimiter + 1]
    if (delimiter < 1 || !body || frames.length > delimiter + 2 + limits.messageFrames) return
    const envelope = frames.slice(0, delimiter)
    let event: Event
    try {
      event = decodeEvent(body)
    } catch {
      return
    }
    const peer = envelope.map((frame) => Buffer.from(frame).toString('base64')).join('.')
    const { message_id: id, response_to: responseTo, got = [] } = event.header
    for (const read of got) this.#noteRead(`${peer}:${idKey(read)}`)
    if (responseTo !== undefined) {
      this.#channels.get(`${peer}:${idKey(responseTo)}`)?.take(event, this.#clock.now())
    } else if (!event.name.startsWith('_zpc_')) {
      this.#open(peer, envelope, id, event, frames.slice(delimiter + 2))
    }
  }

  #open(peer: string, envelope: Uint8Array[], id: MessageId, event: Event, payload: Uint8Array[]): void {
    const key = `${peer}:${idKey(id)}`
    if (this.#channels.has(key)) return
    const takesPayload = event.header.pf !== undefined
    const channel = new ServerChannel({
      now: this.#clock.now(),
      send: (name, args, frames, onRead) => {
        const header = {
          message_id: randomId(),
          v: 3 as const,
          response_to: id,
          ...(takesPayload ? { pf: frames.length } : {}),
        }
        if (onRead) this.#awaitRead(key, onRead)
        this.#out.push(peer, [...envelope, emptyFrame, encodeEvent({ header, name, args }), ...frames])
      },
      whenReading: () => this.#out.whenReading(peer),
      takesPayload,
      release: () => {
        this.#heartbeat.remove(channel)
        this.#channels.delete(key)
      },
    })
    const { maxCalls = limits.callsPerServer } = this.#options
    const method = this.#methods.get(event.name)
    if (this.#draining) return channel.fail(new Failure('closed', 'the node takes no new calls'))
    if (this.#channels.size >= maxCalls)
      return channel.fail(new Failure('over-limit', `${maxCalls} calls are in progress; try again later`))
    // The original answers an unknown method with Python's NameError.
    if (!method) return channel.error('NameError', event.name)
    this.#channels.set(key, channel)
    this.#heartbeat.add(channel)
    const args = Array.isArray(event.args) ? event.args : []
    const [claimed, proof] = event.header.who ?? []
    const callerKey = claimed && proof && this.#proofs?.isRight(claimed, proof) ? Buffer.from(claimed) : undefined
    void channel.run(method.handle, args, { signal: channel.signal, peer, payload, key: callerKey }).then((fault) => {
      if (fault !== undefined) this.#options.onFault?.(fault, event.name)
    })
  }

  #awaitRead(key: string, onRead: () => void): void {
    this.#unread.set(key, onRead)
    const [oldest] = this.#unread.keys()
    if (this.#unread.size > limits.unreadReplies && oldest !== undefined) this.#unread.delete(oldest)
  }

  /** Who says so too early spoils only what it is being sent itself. */
  #noteRead(key: string): void {
    this.#unread.get(key)?.()
    this.#unread.delete(key)
  }

  #peerGone(peer: string): void {
    for (const [key, channel] of [...this.#channels]) {
      if (key.startsWith(`${peer}:`)) channel.lost()
    }
  }

  #builtIns(): Map<string, Method> {
    const { name = 'zerorpc', methods } = this.#options
    const inspect = () => ({
      name,
      methods: Object.fromEntries(
        [...methods].map(([method, { doc = '', args = [] }]) => [
          method,
          { doc, args: args.map((arg) => ({ name: arg })) },
        ]),
      ),
    })
    return new Map<string, Method>([
      ['_zerorpc_ping', { handle: () => ['pong', name] }],
      ['_zerorpc_list', { handle: () => [...methods.keys()] }],
      ['_zerorpc_name', { handle: () => name }],
      ['_zerorpc_inspect', { handle: inspect }],
    ])
  }
}

const emptyFrame = Buffer.alloc(0)
const serverId = randomBytes(9).toString('base64url')
let nextId = 0

function randomId(): string {
  return `${serverId}${(nextId++).toString(36)}`
}

function bindFailure(endpoint: string, error: unknown): Failure {
  switch (errnoOf(error)) {
    case 'EADDRINUSE':
      return new Failure(
        'port-in-use',
        `${endpoint} is in use by another program; choose another port or stop that program`,
        { cause: error },
      )
    case 'EADDRNOTAVAIL':
    case 'ENODEV':
      return new Failure('bad-argument', `${endpoint} is not an address of this machine`, { cause: error })
    case 'EACCES':
      return new Failure('bad-argument', `this user may not listen on ${endpoint}; ports below 1024 need more rights`, {
        cause: error,
      })
    default:
      return new Failure('bad-argument', `cannot listen on ${endpoint}`, { cause: error })
  }
}
