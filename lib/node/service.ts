import { releaseLater, retain } from '../base/buffer-pool.ts'
import type { Clock } from '../base/clock.ts'
import { noteMoved } from '../base/collect.ts'
import { Deadline } from '../base/deadline.ts'
import { Failure, isFailure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Role } from '../network/allow-list.ts'
import {
  type Arguments,
  argumentSchemas,
  type GetReply,
  type Method,
  methodDocs,
  type NodeStats,
  parseArguments,
  type QueryPart,
  type RegisterReply,
  type SignedReply,
  type StreamRow,
} from '../network/contract.ts'
import type { Traffic } from '../network/traffic.ts'
import type { Run } from '../stream/runs.ts'
import { runAt } from '../stream/runs.ts'
import type { KnownStream } from '../transfer/known-stream.ts'
import { type CallContext, type Handler, WithPayload } from '../zerorpc/index.ts'
import { authoriseSibling } from './authorise.ts'
import type { Children } from './children.ts'
import type { Provider } from './provider.ts'
import type { Publishing } from './publishing.ts'

export interface ServiceOptions {
  name: string
  provider: Provider
  children: Children
  publishing: Publishing
  traffic: Traffic
  clock: Clock
  stats: () => NodeStats
  /** Throws `refused` unless who has the key may call the method. */
  authorise(method: Method, key: Buffer | undefined): void
  /** The role in which a key is admitted; undefined where nodes have no keys. */
  roleOf(key: Buffer | undefined): Role | undefined
}

type MethodHandler<M extends Method> = (args: Arguments<M>, context: CallContext) => unknown
type Handlers = { [M in Method]: MethodHandler<M> }

/** What a node answers, the same for a source and a relay; docs/protocol.md describes it. */
export class Service {
  readonly #options: ServiceOptions

  constructor(options: ServiceOptions) {
    this.#options = options
  }

  /** For an RpcServer. Arguments are checked here, before any handler sees them. */
  methods(): Map<Method, { handle: Handler; doc: string; args: string[] }> {
    const { publishing } = this.#options
    const handlers: Handlers = {
      list: () => this.#list(),
      describe: ([name]) => this.#describe(name),
      pages: (args) => this.#pages(args),
      get: (args, context) => this.#get(args, context),
      query: (args) => this.#query(args),
      register: (args, context) => this.#register(args, context),
      renew: ([lease]) => this.#renew(lease),
      report: (args) => this.#report(args),
      leave: ([lease]) => this.#leave(lease),
      publishCheck: (args) => publishing.check(args),
      publish: (args) => publishing.begin(args),
      publishPages: (args) => publishing.pages(args),
      publishChunks: (args, context) => publishing.chunks(args, context),
      publishEnd: (args) => publishing.end(args),
      stats: () => this.#options.stats(),
      ping: () => ({ name: this.#options.name }),
    }
    const methods = Object.keys(argumentSchemas) as Method[]
    return new Map(
      methods.map((method) => [
        method,
        { ...methodDocs[method], handle: this.#checked(method, handlers[method] as MethodHandler<Method>) },
      ]),
    )
  }

  #checked(method: Method, handle: MethodHandler<Method>): Handler {
    return (args, context) => {
      this.#options.authorise(method, context.key)
      return handle(parseArguments(method, args), context)
    }
  }

  #list(): Promise<StreamRow[]> {
    return this.#options.provider.list()
  }

  async #describe(name: string): Promise<SignedReply> {
    const { descriptor } = await this.#stream(name, undefined, true)
    return descriptor.signed
  }

  async #pages([name, from, count, epoch]: Arguments<'pages'>): Promise<SignedReply[]> {
    const stream = await this.#stream(name, epoch)
    const pages: SignedReply[] = []
    const end = Math.min(from + count, stream.descriptor.chunkCount)
    let bytes = 0
    for (let index = from; index < end && bytes < limits.pageBytes; ) {
      const page = await stream.page(index)
      pages.push(page.signed)
      bytes += page.signed.body.length
      index = page.end
    }
    return pages
  }

  async #get([name, index, options]: Arguments<'get'>, context: CallContext): Promise<GetReply | WithPayload> {
    const { provider, traffic, clock, children } = this.#options
    const stream = await this.#stream(name, options.epoch)
    if (index >= stream.descriptor.chunkCount) return { status: 'end', chunkCount: stream.descriptor.chunkCount }
    const deadline = new Deadline(clock, options.waitMs, `getting chunk ${index} of ${name}`, context.signal)
    try {
      const page = await stream.page(index)
      const run = runAt(page, index)
      if (options.lease !== undefined && !options.local) {
        const siblings = this.#handOut(options.lease, options.refer, stream, run)
        if (siblings.length > 0) return { status: 'refer', peers: siblings }
      }
      const bytes = await provider.read(stream, page, run, {
        local: options.local,
        reader: context.peer,
        signal: deadline.signal,
      })
      if (!bytes) return options.local ? { status: 'absent' } : { status: 'later', retryMs: 1000 }
      retain(bytes)
      const count = Math.min(options.count, run.first + run.count - index)
      const data = count === run.count ? bytes : sliceOf(page, run, index, count, bytes)
      traffic.sent(data.length, count)
      noteMoved(data.length)
      const windowBytes = children.streamerWindowBytes
      return new WithPayload({ status: 'data', index, count, windowBytes }, [data], { onRead: releaseLater(bytes) })
    } catch (error) {
      if (isFailure(error, 'timeout')) return { status: 'later', retryMs: 500 }
      throw error
    } finally {
      deadline.done()
    }
  }

  /** Notes that a child gets a run; with `refer`, the siblings that it should rather ask. */
  #handOut(leaseId: string, refer: boolean, stream: KnownStream, run: Run): string[] {
    const { children, clock } = this.#options
    const lease = children.renew(leaseId)
    if (lease.address === undefined) return []
    const key = stream.descriptor.stream
    if (refer) return children.directory.assign(key, run, lease.id, clock.now(), new Set())
    children.directory.taking(key, run, lease.id, clock.now())
    return []
  }

  async #query([name, from, count, leaseId, options]: Arguments<'query'>): Promise<QueryPart[]> {
    const { children, clock } = this.#options
    const lease = children.renew(leaseId)
    const stream = await this.#stream(name, options.epoch)
    const avoid = new Set(options.avoid)
    const end = Math.min(from + count, stream.descriptor.chunkCount)
    const parts: QueryPart[] = []
    for (let index = from; index < end; ) {
      const run = runAt(await stream.page(index), index)
      const peers = children.directory.assign(stream.descriptor.stream, run, lease.id, clock.now(), avoid)
      addPart(parts, { first: index, end: Math.min(end, run.first + run.count), peers })
      index = run.first + run.count
      if (parts.length >= limits.queryParts) break
    }
    return parts
  }

  async #register([node]: Arguments<'register'>, { key }: CallContext): Promise<RegisterReply> {
    const { children, provider, name, roleOf } = this.#options
    if (node.address !== undefined) authoriseSibling(roleOf(key), node.name)
    const lease = await children.register(node, key)
    return { lease: lease.id, leaseMs: limits.leaseMs, name, chain: [...provider.chain] }
  }

  #renew(lease: string): null {
    this.#options.children.renew(lease)
    return null
  }

  async #report([leaseId, changes]: Arguments<'report'>): Promise<null> {
    const { children } = this.#options
    const lease = children.renew(leaseId)
    for (const { name, epoch, have, lost } of changes) {
      const stream = await this.#options.provider.find(name, false).catch(() => undefined)
      if (!stream || stream.descriptor.epoch !== epoch) continue
      for (const [first, end] of have) children.directory.have(lease.id, stream.descriptor.stream, first, end)
      for (const [first, end] of lost) children.directory.lost(lease.id, stream.descriptor.stream, first, end)
    }
    return null
  }

  #leave(lease: string): null {
    this.#options.children.leave(lease)
    return null
  }

  async #stream(name: string, epoch?: number, fresh = false): Promise<KnownStream> {
    const { provider } = this.#options
    let stream = await provider.find(name, fresh)
    if (stream && epoch !== undefined && epoch > stream.descriptor.epoch) stream = await provider.find(name, true)
    if (!stream) {
      const names = (await provider.list()).map((row) => row.name)
      const known = names.length > 0 ? `streams here: ${names.slice(0, 50).join(', ')}` : 'no stream is published here'
      throw new Failure('not-found', `there is no stream ${name}; ${known}`)
    }
    if (epoch !== undefined && stream.descriptor.epoch !== epoch) {
      throw new Failure(
        'stream-changed',
        `${name} was published again: epoch ${epoch} was asked for, ${stream.descriptor.epoch} is served`,
      )
    }
    return stream
  }
}

function sliceOf(
  page: { offsetOf(index: number): number; bytesOf(index: number, count: number): number },
  run: Run,
  index: number,
  count: number,
  bytes: Uint8Array,
): Uint8Array {
  const start = page.offsetOf(index) - page.offsetOf(run.first)
  return bytes.subarray(start, start + page.bytesOf(index, count))
}

/** Neighbouring runs for which the same siblings are named become one part. */
function addPart(parts: QueryPart[], part: QueryPart): void {
  const last = parts.at(-1)
  if (last && last.end === part.first && last.peers.join() === part.peers.join()) last.end = part.end
  else parts.push(part)
}
