import { randomBytes } from 'node:crypto'
import { Dealer, type Observer } from 'zeromq'
import { type Clock, systemClock } from '../base/clock.ts'
import { Failure, isErrorCode } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { bytesOf, receiveEach } from './breather.ts'
import { type ChannelListener, ClientChannel, type EndChannel } from './client-channel.ts'
import { type KeyPair, proofOf, z85 } from './curve.ts'
import { decodeEvent, type Event, encodeEvent, idKey, type MessageId, mostGot } from './event.ts'
import { Heartbeat } from './heartbeat.ts'
import { lingerMs, type RpcOptions } from './options.ts'

export interface Reply {
  value: unknown
  /** Frames that travelled beside the value; none from a peer that does not know payload frames. */
  payload: Uint8Array[]
}

/** Own keys, and the key that the server must have: the connection is encrypted, and both sides know each other. */
export interface ClientCurve {
  keys: KeyPair
  serverKey: Uint8Array
}

export interface CallOptions {
  /** Default 30,000. */
  timeoutMs?: number
  signal?: AbortSignal
  /** Frames that travel beside the arguments; only once the server has announced that it understands them. */
  payload?: Uint8Array[]
}

export interface StreamOptions extends CallOptions {
  /** Values that may be on their way or unread, default 8. */
  credit?: number
}

const defaultTimeoutMs = 30_000
/** ZeroMQ connects again after the first, doubled each time up to the last. */
const reconnectMs = { first: 50, most: 1000 }
/** Every handshake broken off for so long means that the server has another key than it should, ms. */
const wrongKeyMs = 1500
const empty = Buffer.alloc(0)

/** A client of one zerorpc server: one connection, many calls in flight; it reconnects by itself. */
export class RpcClient {
  readonly #endpoint: string
  readonly #clock: Clock
  readonly #socket: Dealer
  readonly #events: Observer
  readonly #heartbeat: Heartbeat
  readonly #channels = new Map<string, ClientChannel>()
  readonly #idPrefix = randomBytes(9).toString('base64url')
  readonly #queue: Uint8Array[][] = []
  #nextId = 0
  #writing = false
  #closed = false
  #receiving: Promise<void>
  #serverTakesPayload = false
  /** Calls whose replies came with payload frames, not told to the server yet. */
  readonly #got: MessageId[] = []
  readonly #who: [Uint8Array, Uint8Array] | undefined
  bytesSent = 0
  bytesReceived = 0
  /** When anything came last, by the monotonic clock, ms. */
  heardAt = 0

  constructor(endpoint: string, options: RpcOptions & { curve?: ClientCurve | undefined } = {}) {
    const { curve } = options
    const { clock = systemClock, maxFrameBytes = limits.frameBytes } = options
    this.#endpoint = endpoint
    this.#clock = clock
    this.#heartbeat = new Heartbeat(clock, options)
    this.#socket = new Dealer({
      linger: lingerMs,
      maxMessageSize: maxFrameBytes,
      sendHighWaterMark: limits.requestsPerPeer * 4,
      receiveHighWaterMark: limits.sendQueueMessages,
      reconnectInterval: reconnectMs.first,
      reconnectMaxInterval: reconnectMs.most,
      ...(curve && {
        curvePublicKey: z85(curve.keys.publicKey),
        curveSecretKey: z85(curve.keys.secretKey),
        curveServerKey: z85(curve.serverKey),
      }),
    })
    this.#who = curve && [curve.keys.publicKey, proofOf(curve.keys.secretKey, curve.serverKey)]
    // Watched from before it connects: a refusal comes once, and may come within a millisecond.
    this.#events = this.#socket.events
    this.#socket.connect(endpoint)
    this.#receiving = this.#receive()
  }

  /** Calls a method and returns its answer. */
  call(method: string, args: unknown[], options: CallOptions = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const end = this.#open(method, args, options, {
        onEvent: (event, payload) => {
          if (event.name === 'OK') {
            const value = Array.isArray(event.args) ? event.args[0] : event.args
            end()
            resolve({ value, payload })
          } else if (event.name === 'ERR') {
            end()
            reject(remoteError(event))
          }
        },
        onEnd: reject,
      })
    })
  }

  /** Calls a method that answers with a stream of values. */
  async *stream(method: string, args: unknown[], options: StreamOptions = {}): AsyncIterable<Reply> {
    const { credit = 8 } = options
    const ready: Reply[] = []
    let failure: unknown
    let isDone = false
    let wake = () => {}
    const end = this.#open(method, args, options, {
      onEvent: (event, payload) => {
        if (event.name === 'STREAM' && ready.length < credit * 2) ready.push({ value: event.args, payload })
        else if (event.name === 'STREAM')
          failure = new Failure('over-limit', `${this.#endpoint} sent more of ${method} than it was given credit for`)
        else if (event.name === 'STREAM_DONE') isDone = true
        else if (event.name === 'ERR') failure = remoteError(event)
        else if (event.name === 'OK') {
          ready.push({ value: Array.isArray(event.args) ? event.args[0] : event.args, payload })
          isDone = true
        }
        wake()
      },
      onEnd: (error) => {
        failure = error
        wake()
      },
    })
    try {
      // A fresh channel has one credit.
      if (credit > 1) end.channel.send('_zpc_more', [credit - 1])
      let owed = 0
      for (;;) {
        const next = ready.shift()
        if (next) {
          yield next
          owed++
          if (owed >= credit / 2) {
            end.channel.send('_zpc_more', [owed])
            owed = 0
          }
        } else if (failure !== undefined) throw failure
        else if (isDone) return
        else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    } finally {
      end()
    }
  }

  /** `listener` is called when the connection broke: a hint, ZeroMQ connects again by itself. */
  onDisconnect(listener: () => void): void {
    this.#events.on('disconnect', listener)
  }

  /** `listener` is called when the two sides could not agree: `auth`: the server does not admit this key; else keys do not match. */
  onRefused(listener: (why: 'auth' | 'keys') => void): void {
    const events = this.#events
    let failures = 0
    let failingSince = 0
    const count = () => {
      if (failures++ === 0) failingSince = this.#clock.now()
    }
    events.on('handshake', () => {
      failures = 0
    })
    events.on('handshake:error:auth', () => listener('auth'))
    events.on('handshake:error:protocol', ({ error }) => {
      count()
      // Once may be a flipped bit. ZeroMQ does not try again by itself.
      if (error.code === 'ERR_ZMTP_MECHANISM_MISMATCH' && failures > 1) listener('keys')
      else this.#clock.after(failures > 1 ? reconnectMs.most : reconnectMs.first, () => this.reconnect())
    })
    events.on('handshake:error:other', () => {
      count()
      // A server breaks off each handshake with a wrong key for it; so does, for a while, one that ends or is cut off.
      if (this.#who && failures > 1 && this.#clock.now() - failingSince >= wrongKeyMs) listener('keys')
    })
  }

  /** Begins anew with a fresh connection; what was on its way is lost, and calls in progress are not answered any more. */
  reconnect(): void {
    if (this.#closed) return
    this.#socket.disconnect(this.#endpoint)
    this.#socket.connect(this.#endpoint)
  }

  /** When the oldest call in progress began, by the monotonic clock, ms. */
  get oldestCallAt(): number | undefined {
    for (const { openedAt } of this.#channels.values()) return openedAt
    return undefined
  }

  /** Ends all calls in progress: they reject with `reason`. */
  abandon(reason: Failure): void {
    for (const channel of [...this.#channels.values()]) channel.fail(reason)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#heartbeat.close()
    this.abandon(new Failure('closed', `the connection to ${this.#endpoint} is closed`))
    // An observer closes itself when its last event is read; where nobody listened, none was.
    this.#events.on('end', () => {})
    this.#socket.close()
    await this.#receiving
  }

  #open(method: string, args: unknown[], options: CallOptions, listener: ChannelListener): EndChannel {
    const { timeoutMs = defaultTimeoutMs, signal, payload = [] } = options
    const id = `${this.#idPrefix}${(this.#nextId++).toString(36)}`
    const now = this.#clock.now()
    const channel = new ClientChannel(id, now, listener, (event) => this.#send(event, []))
    const cancelTimer = this.#clock.after(
      timeoutMs,
      () =>
        channel.fail(
          new Failure('timeout', `${this.#endpoint} did not answer ${method} within ${Math.round(timeoutMs)} ms`),
        ),
      true,
    )
    const onAbort = () => channel.fail(signal?.reason)
    channel.release = () => {
      cancelTimer()
      signal?.removeEventListener('abort', onAbort)
      this.#heartbeat.remove(channel)
      this.#channels.delete(id)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    const end = Object.assign(() => channel.end(), { channel })
    if (this.#closed) channel.fail(new Failure('closed', `the connection to ${this.#endpoint} is closed`))
    else if (signal?.aborted) onAbort()
    else if (payload.length > 0 && !this.#serverTakesPayload)
      channel.fail(new Failure('refused', `${this.#endpoint} has not announced that it takes payload frames`))
    else this.#begin(channel, method, args, payload)
    return end
  }

  #begin(channel: ClientChannel, method: string, args: unknown[], payload: Uint8Array[]): void {
    this.#channels.set(channel.id, channel)
    this.#heartbeat.add(channel)
    const header = {
      message_id: channel.id,
      v: 3 as const,
      pf: payload.length,
      ...(this.#who && { who: this.#who }),
      ...(this.#got.length > 0 && { got: this.#got.splice(0) }),
    }
    try {
      this.#send({ header, name: method, args }, payload)
    } catch (cause) {
      channel.fail(new Failure('bad-argument', `msgpack cannot carry the arguments of ${method}`, { cause }))
    }
  }

  #send(event: Event, payload: Uint8Array[]): void {
    if (this.#closed) return
    const frames = [empty, encodeEvent(event), ...payload]
    this.bytesSent += bytesOf(frames)
    this.#queue.push(frames)
    if (!this.#writing) void this.#write()
  }

  /** The only writer of the socket. */
  async #write(): Promise<void> {
    this.#writing = true
    try {
      for (let frames = this.#queue.shift(); frames && !this.#closed; frames = this.#queue.shift())
        await this.#socket.send(frames)
    } catch (error) {
      if (!this.#closed) this.abandon(new Failure('unreachable', `cannot send to ${this.#endpoint}`, { cause: error }))
    } finally {
      this.#writing = false
    }
  }

  async #receive(): Promise<void> {
    try {
      await receiveEach(this.#socket, (frames, bytes) => {
        this.bytesReceived += bytes
        this.heardAt = this.#clock.now()
        this.#take(frames)
      })
    } catch (error) {
      if (!this.#closed)
        this.abandon(new Failure('unreachable', `the connection to ${this.#endpoint} failed`, { cause: error }))
    }
  }

  #take([delimiter, body, ...payload]: Uint8Array[]): void {
    if (!delimiter || delimiter.length > 0 || !body || payload.length > limits.messageFrames) return
    let event: Event
    try {
      event = decodeEvent(body)
    } catch {
      return
    }
    const { response_to: responseTo, pf } = event.header
    if (responseTo === undefined) return
    if (pf !== undefined) this.#serverTakesPayload = true
    if (payload.length > 0 && this.#got.length < mostGot) this.#got.push(responseTo)
    const channel = this.#channels.get(idKey(responseTo))
    if (!channel) return
    channel.heardAt = this.heardAt
    if (event.name.startsWith('_zpc_')) return
    channel.listener.onEvent(event, payload)
  }
}

/** ERR carries [name, message, traceback]; our own nodes put the error code in the place of the name. */
function remoteError({ args }: Event): Failure {
  const [name, message] = Array.isArray(args) ? args : []
  const text = typeof message === 'string' ? message : 'the other side told no reason'
  if (name === 'NameError') return new Failure('unknown-method', `the node does not know the method ${text}`)
  if (typeof name === 'string' && isErrorCode(name)) return new Failure(name, text)
  return new Failure('remote', text, { fields: { name: typeof name === 'string' ? name : '' } })
}
