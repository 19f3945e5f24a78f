import type { Clock } from '../base/clock.ts'
import { abortable, Deadline } from '../base/deadline.ts'
import { Failure, isFailure, toFailure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Logger } from '../base/log.ts'
import { isOff } from '../base/protections.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { StreamRow } from '../network/contract.ts'
import type { Peers } from '../network/peers.ts'
import { noMaster, type Uplink } from '../network/uplink.ts'
import type { ManifestStore } from '../store/chunk-store.ts'
import { Descriptor } from '../stream/descriptor.ts'
import { Page } from '../stream/page.ts'
import type { PublicKey } from '../stream/signing.ts'
import type { StreamKey } from '../stream/stream-key.ts'
import type { KnownStream } from './known-stream.ts'

export interface RemoteStreamsOptions {
  uplink: Uplink
  peers: Peers
  store: ManifestStore
  clock: Clock
  log: Logger
}

const callTimeoutMs = 3000
/** Masters have so long together to list their streams: less than a caller waits, ms. */
const listMs = 2000

/**
 * Streams as learnt from the masters: descriptors and pages are fetched once, verified, kept in the store and answered from
 * there, also while no master answers. The key first seen for a name is pinned; another one is refused.
 */
export class RemoteStreams {
  readonly #options: RemoteStreamsOptions
  readonly #known = new Map<string, RemoteStream>()
  readonly #finding = new SingleFlight<string, RemoteStream | undefined>()

  constructor(options: RemoteStreamsOptions) {
    this.#options = options
  }

  /** Takes up what the store remembers. */
  async load(): Promise<void> {
    for (const { name, signed } of await this.#options.store.descriptors()) {
      try {
        this.#known.set(name, new RemoteStream(Descriptor.open(signed), this.#options, Number.NEGATIVE_INFINITY))
      } catch (error) {
        this.#options.log.warn(
          `the stored descriptor of ${name} is damaged and will be fetched anew: ${toFailure(error).message}`,
        )
      }
    }
  }

  /** Name and epoch of a stream that is known here in that epoch. */
  nameOf(stream: StreamKey): { name: string; epoch: number } | undefined {
    for (const { descriptor } of this.#known.values()) {
      if (descriptor.stream === stream) return { name: descriptor.name, epoch: descriptor.epoch }
    }
    return undefined
  }

  /**
   * The stream of that name, or undefined when no master knows it. `fresh`: asks upward again when what is known is older than
   * `limits.descriptorFreshMs`. `key`: the only key that may have signed it.
   */
  async find(name: string, options: { fresh?: boolean; key?: PublicKey } = {}): Promise<RemoteStream | undefined> {
    let stream = this.#known.get(name)
    const ageMs = stream ? this.#options.clock.now() - stream.learntAt : Number.POSITIVE_INFINITY
    if (!stream || (options.fresh && ageMs > limits.descriptorFreshMs)) {
      const learning = this.#finding.run(name, () => this.#learn(name, stream))
      stream = await (stream ? this.#confirmed(stream, learning) : learning)
    }
    if (stream && options.key && !options.key.equals(stream.descriptor.publicKey)) {
      throw keyChanged(name, 'the link asks for', options.key, stream.descriptor.publicKey)
    }
    return stream
  }

  /** What is learnt of a known stream, or the stream as it is known when no master answers soon. */
  async #confirmed(
    known: RemoteStream,
    learning: Promise<RemoteStream | undefined>,
  ): Promise<RemoteStream | undefined> {
    const { clock, uplink } = this.#options
    const patience = new Deadline(clock, uplink.current ? limits.confirmMs : 0, 'confirming')
    try {
      return await abortable(learning, patience.signal)
    } catch (error) {
      if (patience.signal.aborted) return known
      throw error
    } finally {
      patience.done()
    }
  }

  /** Streams that the masters list, and those known here; only those known when no master answers soon. */
  async list(): Promise<StreamRow[]> {
    const rows = new Map<string, StreamRow>()
    for (const [name, { descriptor }] of this.#known) rows.set(name, rowOf(descriptor))
    const { clock, uplink, peers } = this.#options
    const endsAt = clock.now() + listMs
    for (const address of uplink.upward()) {
      const timeoutMs = endsAt - clock.now()
      if (timeoutMs <= 0) break
      try {
        const listed = await peers.at(address).list({ timeoutMs })
        for (const row of listed) rows.set(row.name, row)
        break
      } catch (error) {
        uplink.noteFailure(address, error)
      }
    }
    return [...rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async #learn(name: string, known: RemoteStream | undefined): Promise<RemoteStream | undefined> {
    const { uplink, peers, store, clock } = this.#options
    let failure: Failure = noMaster(uplink.chain)
    for (const address of uplink.upward()) {
      try {
        const descriptor = Descriptor.open(await peers.at(address).describe(name, { timeoutMs: callTimeoutMs }))
        if (descriptor.name !== name)
          throw new Failure('bad-format', `${address} answered for ${descriptor.name}, asked for ${name}`)
        if (
          known &&
          descriptor.epoch <= known.descriptor.epoch &&
          descriptor.publicKey.equals(known.descriptor.publicKey)
        ) {
          known.learntAt = clock.now()
          return known
        }
        await this.#checkPin(name, descriptor)
        await store.putDescriptor(name, descriptor.signed)
        const stream = new RemoteStream(descriptor, this.#options, clock.now())
        this.#known.set(name, stream)
        return stream
      } catch (error) {
        failure = toFailure(error)
        if (isFailure(error, 'not-found')) return known
        if (isFailure(error, 'bad-signature', 'bad-format')) peers.at(address).bad()
        if (isFailure(error, 'key-changed')) throw error
        uplink.noteFailure(address, error)
      }
    }
    if (known) return known
    throw failure
  }

  async #checkPin(name: string, descriptor: Descriptor): Promise<void> {
    if (isOff('pins')) return
    const pin = await this.#options.store.getPin(name)
    if (!pin) return this.#options.store.putPin(name, descriptor.publicKey)
    if (!descriptor.publicKey.equals(pin))
      throw keyChanged(name, 'the key first seen here is', Buffer.from(pin), descriptor.publicKey)
  }
}

export function rowOf({ fields, publicKey, mediaBytes }: Descriptor): StreamRow {
  const { name, kind, format, epoch, chunkCount, durationMs } = fields
  return { name, kind, format, epoch, chunkCount, mediaBytes, durationMs, key: publicKey.toString('base64url') }
}

function keyChanged(name: string, what: string, wanted: PublicKey, got: PublicKey): Failure {
  const [one, other] = [wanted.toString('base64url'), got.toString('base64url')]
  return new Failure(
    'key-changed',
    `${name} is signed by the key ${other}, but ${what} ${one}; if the publisher changed keys on purpose, use the new link and remove the name from the relay's store`,
  )
}

/** One epoch of a stream; decoded pages are kept up to `limits.pageCacheBytes`. */
export class RemoteStream implements KnownStream {
  readonly descriptor: Descriptor
  /** When a master last confirmed it, by the monotonic clock, ms. */
  learntAt: number
  readonly #options: RemoteStreamsOptions
  readonly #pages = new Map<number, Page>()
  readonly #fetching = new SingleFlight<number, Page>()
  #pageBytes = 0

  constructor(descriptor: Descriptor, options: RemoteStreamsOptions, learntAt: number) {
    this.descriptor = descriptor
    this.learntAt = learntAt
    this.#options = options
  }

  async page(index: number): Promise<Page> {
    const first = this.descriptor.pageStart(index)
    const held = this.#pages.get(first)
    if (held) return held
    return this.#fetching.run(first, async () => {
      const page = (await this.#stored(first)) ?? (await this.#fetch(first))
      this.#remember(page)
      return page
    })
  }

  async #stored(first: number): Promise<Page | undefined> {
    const { store, log } = this.#options
    const signed = await store.getPage(this.descriptor.stream, first)
    if (!signed) return undefined
    try {
      return this.#open(signed, first)
    } catch (error) {
      log.warn(
        `a stored page of ${this.descriptor.name} is damaged and will be fetched anew: ${toFailure(error).message}`,
      )
      return undefined
    }
  }

  async #fetch(first: number): Promise<Page> {
    const { uplink, peers, store, log } = this.#options
    const { name, epoch, stream } = this.descriptor
    let failure: Failure = noMaster(uplink.chain)
    for (const address of uplink.upward()) {
      try {
        const [signed] = await peers.at(address).pages(name, first, 1, epoch, { timeoutMs: callTimeoutMs })
        if (!signed) throw new Failure('unavailable', `${address} has no page of ${name} for chunk ${first}`)
        const page = this.#open(signed, first)
        await store.putPage(stream, first, signed)
        return page
      } catch (error) {
        failure = toFailure(error)
        if (isFailure(error, 'bad-signature', 'bad-format')) {
          peers.at(address).bad()
          log.warn(`${address} sent a wrong page of ${name}: ${error.message}`)
        }
        uplink.noteFailure(address, error)
      }
    }
    throw failure
  }

  #open(signed: { body: Uint8Array; signature: Uint8Array }, first: number): Page {
    const { name, fields } = this.descriptor
    const page = Page.open(signed, this.descriptor)
    const count = Math.min(fields.pageRecords, fields.chunkCount - first)
    if (page.first !== first || page.count !== count) {
      throw new Failure(
        'bad-format',
        `expected a page of ${name} with chunks ${first} to ${first + count - 1}, got ${page.first} to ${page.end - 1}`,
      )
    }
    return page
  }

  #remember(page: Page): void {
    this.#pages.set(page.first, page)
    this.#pageBytes += page.signed.body.length
    for (const [first, oldest] of this.#pages) {
      if (this.#pageBytes <= limits.pageCacheBytes || this.#pages.size <= 2) break
      this.#pages.delete(first)
      this.#pageBytes -= oldest.signed.body.length
    }
  }
}
