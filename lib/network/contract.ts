import * as v from 'valibot'
import { digestBytes } from '../base/digest.ts'
import { Failure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { parseAddress } from '../stream/address.ts'
import { parseName } from '../stream/names.ts'

/**
 * The methods that nodes answer, with the form of their arguments. zerorpc has no keyword arguments, so they are
 * positional and the last may be left out. Numbers may come as decimal strings: the zerorpc command line sends strings.
 * docs/protocol.md shows the same for people.
 */

const count = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^\d{1,16}$/), v.transform(Number))]),
  v.safeInteger(),
  v.minValue(0),
)
const name = v.pipe(
  v.string(),
  v.transform((text) => checked(() => parseName(text))),
)
const address = v.pipe(
  v.string(),
  v.transform((text) => checked(() => parseAddress(text))),
)
const lease = v.pipe(v.string(), v.maxLength(64))
const range = v.pipe(
  v.tuple([count, count]),
  v.check(([first, end]) => first < end, 'expected a range [first, end) with first below end'),
)
const ranges = v.pipe(v.array(range), v.maxLength(4096))

const bytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes')
const signed = v.object({ body: bytes, signature: bytes })
/** A public key as people see it, base64url; 32 bytes. */
const publicKey = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, 'expected a key of 43 letters, digits, "-" or "_"'))
const digest = v.pipe(
  bytes,
  v.check((value) => value.length === digestBytes, `expected a digest of ${digestBytes} bytes`),
)
const uploadId = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'expected an upload as publish answers it'))
const publishOptions = v.optional(
  v.object({
    /** Publish a name anew that is taken, with a greater epoch. */
    replace: v.optional(v.boolean(), false),
  }),
  {},
)

const getOptions = v.optional(
  v.object({
    /** How many chunks at most, default 1; the answer ends with the run at the latest. */
    count: v.optional(v.pipe(count, v.minValue(1)), 1),
    /** The epoch that is meant; another one is refused with `stream-changed`. Default: the newest known. */
    epoch: v.optional(count),
    /** How long to wait for a chunk that has to be fetched first, ms. */
    waitMs: v.optional(v.pipe(count, v.maxValue(limits.fetchMs)), 10_000),
    /** Answer only what is held here or under way here; never ask further. For siblings. */
    local: v.optional(v.boolean(), false),
    /** A child's lease: notes that the child is getting the run. */
    lease: v.optional(lease),
    /** With a lease: a sibling may be named instead of sending data. */
    refer: v.optional(v.boolean(), false),
  }),
  {},
)

export const argumentSchemas = {
  list: v.tuple([]),
  /** name */
  describe: v.tuple([name]),
  /** name, index of the first chunk, count of chunks to cover, epoch */
  pages: v.tuple([name, count, v.optional(count, 1), v.optional(count)]),
  /** name, index, options */
  get: v.tuple([name, count, getOptions]),
  /** name, index of the first chunk, count of chunks, lease of the asker, options */
  query: v.tuple([
    name,
    count,
    v.pipe(count, v.maxValue(1_000_000)),
    lease,
    v.optional(
      v.object({ epoch: v.optional(count), avoid: v.optional(v.pipe(v.array(address), v.maxLength(64)), []) }),
      {},
    ),
  ]),
  /** who the child is; without an address it takes chunks but passes none on (a streamer) */
  register: v.tuple([v.object({ name, address: v.optional(address) })]),
  renew: v.tuple([lease]),
  /** lease, what it holds now and what it lost, per stream */
  report: v.tuple([
    lease,
    v.pipe(
      v.array(v.object({ name, epoch: count, have: v.optional(ranges, []), lost: v.optional(ranges, []) })),
      v.maxLength(1024),
    ),
  ]),
  leave: v.tuple([lease]),
  /** name, public key, options */
  publishCheck: v.tuple([name, publicKey, publishOptions]),
  /** signed descriptor, digest of all pages, options */
  publish: v.tuple([signed, digest, publishOptions]),
  /** upload, index of the first page, pages */
  publishPages: v.tuple([uploadId, count, v.pipe(v.array(signed), v.maxLength(64))]),
  /** upload, index of the first chunk, count of chunks, their bytes unless they come as payload frames */
  publishChunks: v.tuple([uploadId, count, v.pipe(count, v.minValue(1)), v.optional(bytes)]),
  /** upload */
  publishEnd: v.tuple([uploadId]),
  stats: v.tuple([]),
  ping: v.tuple([]),
} as const

export type Method = keyof typeof argumentSchemas
export type Arguments<M extends Method> = v.InferOutput<(typeof argumentSchemas)[M]>

/** One line a method, as `zerorpc tcp://host:port` shows it. */
export const methodDocs: Record<Method, { doc: string; args: string[] }> = {
  list: { doc: 'Streams known here.', args: [] },
  describe: { doc: 'The signed descriptor of a stream.', args: ['name'] },
  pages: {
    doc: 'Signed pages that hold the records of `count` chunks from `from`.',
    args: ['name', 'from', 'count', 'epoch'],
  },
  get: {
    doc: 'A chunk, or a run of them: data, a referral, "later", "absent" or "end".',
    args: ['name', 'index', 'options'],
  },
  query: {
    doc: 'Whom this child should ask for each run of a window of chunks.',
    args: ['name', 'from', 'count', 'lease', 'options'],
  },
  register: { doc: 'Takes a child; answers with its lease and the masters further up.', args: ['node'] },
  renew: { doc: 'Keeps a lease.', args: ['lease'] },
  report: { doc: 'Tells what a child holds and what it lost, in ranges.', args: ['lease', 'changes'] },
  leave: { doc: 'Ends a lease.', args: ['lease'] },
  publishCheck: {
    doc: 'Whether this caller may publish a name with that key, and the least epoch for it.',
    args: ['name', 'key', 'options'],
  },
  publish: {
    doc: 'Begins to hand a stream over to a source, or goes on where it broke off.',
    args: ['descriptor', 'contentDigest', 'options'],
  },
  publishPages: { doc: 'Takes signed pages of an upload, in order.', args: ['upload', 'from', 'pages'] },
  publishChunks: {
    doc: 'Takes chunks of an upload, in order; their bytes are `data` or payload frames.',
    args: ['upload', 'first', 'count', 'data'],
  },
  publishEnd: { doc: 'Publishes an upload that is whole.', args: ['upload'] },
  stats: { doc: 'What this node did since its start.', args: [] },
  ping: { doc: 'Alive, answered by the event loop.', args: [] },
}

export interface SignedReply {
  body: Uint8Array
  signature: Uint8Array
}

export interface StreamRow {
  name: string
  kind: 'on-demand' | 'live'
  format: 'fmp4' | 'bytes'
  epoch: number
  chunkCount: number
  mediaBytes: number
  durationMs: number
  /** Public key, base64url. */
  key: string
}

export type GetReply =
  /** `windowBytes`: what a streamer may have asked for here and not yet received. */
  | { status: 'data'; index: number; count: number; data: Uint8Array; windowBytes?: number | undefined }
  /** Ask one of these siblings, best first. */
  | { status: 'refer'; peers: string[] }
  /** Not yet here; ask again. */
  | { status: 'later'; retryMs: number }
  /** Not held here, and `local` was asked. */
  | { status: 'absent' }
  /** Past the last chunk. */
  | { status: 'end'; chunkCount: number }

/** Whom to ask for chunks `first` to `end`: the siblings `peers`, best first, or the answering node when empty. */
export interface QueryPart {
  first: number
  end: number
  peers: string[]
}

/** How far an upload is, in pages and chunks from the first; `done` when just this content is published already. */
export interface PublishReply {
  upload: string
  pages: number
  chunks: number
  done: boolean
}

export interface RegisterReply {
  lease: string
  leaseMs: number
  /** Name of the master. */
  name: string
  /** The masters of the master, nearest first: the supermaster, its master, and so on. */
  chain: string[]
}

export interface NodeStats {
  name: string
  role: 'source' | 'relay'
  /** `open`: anybody who reaches the node may connect. */
  admission: 'keys' | 'open'
  address: string
  uptimeSeconds: number
  /** Its wall clock when it answered, ms since 1970. */
  wallTimeMs: number
  master: string | null
  /** `chunks`: how many it told that it holds. */
  children: { name: string; address: string; chunks: number }[]
  bytesSent: number
  bytesReceived: number
  chunksSent: number
  chunksReceived: number
  bytesFrom: { store: number; sibling: number; master: number; supermaster: number }
  /** Chunk bytes received, by the address of the node that gave them. */
  bytesByPeer: Record<string, number>
  badChunks: number
  /** Requests asked a second time elsewhere because the first peer was slow, and their bytes. */
  hedges: number
  /** Bytes of all that is not chunks: requests, records, leases. */
  controlBytes: { sent: number; received: number }
  store: { chunks: number; bytes: number } | null
  memoryBytes: number
  peakMemoryBytes: number
}

const querySchema = v.array(v.object({ first: count, end: count, peers: v.array(address) }))

/** Forms of the answers: a peer is no more trusted than a caller. */
export const replySchemas = {
  describe: signed,
  pages: v.array(signed),
  get: v.variant('status', [
    v.object({
      status: v.literal('data'),
      index: count,
      count,
      data: v.optional(bytes),
      windowBytes: v.optional(count),
    }),
    v.object({ status: v.literal('refer'), peers: v.array(address) }),
    v.object({ status: v.literal('later'), retryMs: count }),
    v.object({ status: v.literal('absent') }),
    v.object({ status: v.literal('end'), chunkCount: count }),
  ]),
  query: querySchema,
  publishCheck: v.object({ epoch: v.pipe(count, v.minValue(1)) }),
  publish: v.object({ upload: uploadId, pages: count, chunks: count, done: v.boolean() }),
  register: v.object({ lease, leaseMs: count, name, chain: v.pipe(v.array(address), v.maxLength(64)) }),
  list: v.pipe(
    v.array(
      v.object({
        name,
        kind: v.picklist(['on-demand', 'live']),
        format: v.picklist(['fmp4', 'bytes']),
        epoch: count,
        chunkCount: count,
        mediaBytes: count,
        durationMs: v.number(),
        key: v.string(),
      }),
    ),
    v.maxLength(limits.streamsPerNode),
  ),
} as const

/** The arguments of a call, checked; throws `bad-argument` that tells what was expected. */
export function parseArguments<M extends Method>(method: M, args: unknown[]): Arguments<M> {
  const result = v.safeParse(argumentSchemas[method], args)
  if (result.success) return result.output as Arguments<M>
  const [issue] = result.issues
  const at = v.getDotPath(issue)
  const argument = at === null ? '' : ` (argument ${describePath(method, at)})`
  throw new Failure(
    'bad-argument',
    `${method}: ${issue.message}${argument}; arguments are (${methodDocs[method].args.join(', ')})`,
  )
}

/** The value of a reply, checked; throws `bad-format`. */
export function parseReply<S extends v.GenericSchema>(schema: S, value: unknown, from: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  throw new Failure('bad-format', `${from} answered in a wrong form: ${result.issues[0].message}`)
}

function describePath(method: Method, path: string): string {
  const [position = '0', ...rest] = path.split('.')
  return [methodDocs[method].args[Number(position)] ?? position, ...rest].join('.')
}

function checked<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw error instanceof Failure ? error : new Failure('bad-argument', String(error))
  }
}
