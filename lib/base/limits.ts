/** One cap: its value, the unit, what it bounds and why it is what it is, and the memory that it may cost. */
export interface Limit {
  value: number
  unit: string
  means: string
  memory: string
}

/** Every cap in one table. docs/limits.md shows the same for people; a test holds the two together. */
export const limitTable = {
  runBytes: {
    value: 2 * 1024 * 1024,
    unit: 'bytes',
    means:
      'a run of chunks asked for at once (or one larger chunk); with 1 MiB the calls cost a third more CPU, with 3 MiB eight streamers take a relay past 128 MB (bench)',
    memory: 'one buffer a request',
  },
  runMs: {
    value: 4000,
    unit: 'ms',
    means: 'what a run of a film plays at most, on average: a hop passes a run on when it has all of it',
    memory: '-',
  },
  firstRunBytes: {
    value: 256 * 1024,
    unit: 'bytes',
    means:
      'the first run of a stream, doubled with each one up to runBytes: what is seen first comes soon over slow links',
    memory: 'one buffer a request',
  },
  chunkBytes: {
    value: 16 * 1024 * 1024,
    unit: 'bytes',
    means: 'largest chunk that can be published: it must fit a frame, and a few must fit the memory of a relay',
    memory: 'one buffer a request',
  },
  minChunkBytes: {
    value: 256,
    unit: 'bytes',
    means: 'smallest `-c`: below it a record outweighs its chunk',
    memory: '-',
  },
  frameBytes: {
    value: 17 * 1024 * 1024,
    unit: 'bytes',
    means: 'one ZeroMQ frame; a larger one is refused by libzmq before memory is taken',
    memory: 'this much a message',
  },
  messageFrames: {
    value: 8,
    unit: 'frames',
    means: 'frames of one message; more are dropped',
    memory: '8 x frameBytes a message',
  },
  pageRecords: { value: 1024, unit: 'records', means: 'records of one on-demand page', memory: 'about 60 kB a page' },
  pageBytes: { value: 1024 * 1024, unit: 'bytes', means: 'one encoded page', memory: 'this much a page' },
  descriptorBytes: {
    value: 1024 * 1024,
    unit: 'bytes',
    means: 'one encoded descriptor, init segment included',
    memory: 'this much a stream',
  },
  pooledBytes: {
    value: 64 * 1024 * 1024,
    unit: 'bytes',
    means: 'memory of runs that is kept for the next ones',
    memory: 'this much a process',
  },
  unreadReplies: {
    value: 4096,
    unit: 'replies',
    means:
      'replies of which a server waits to hear that they were read, for all peers together; of older ones it does not',
    memory: '200 bytes each',
  },
  windowBytes: {
    value: 8 * 1024 * 1024,
    unit: 'bytes',
    means: 'asked for and not yet received, per peer: nine tenths of what a loopback link can carry',
    memory: 'this much a peer that is fetched from',
  },
  streamersWindowBytes: {
    value: 16 * 1024 * 1024,
    unit: 'bytes',
    means:
      'the same for all streamers at one node together, shared out evenly: many must not fill its memory; one may have windowBytes at most, a run at least',
    memory: 'this much a node, or a run a streamer',
  },
  requestsPerPeer: { value: 64, unit: 'requests', means: 'requests in flight to one peer', memory: '1 kB each' },
  callsPerServer: {
    value: 4096,
    unit: 'calls',
    means: 'calls in progress at a server, for all peers together',
    memory: '1 kB each',
  },
  sendQueueMessages: {
    value: 16,
    unit: 'messages',
    means: 'queued in a socket for one peer: more than a window of runs, or the link idles',
    memory: '16 x runBytes a peer, when all asked at once',
  },
  stalledMessages: {
    value: 1024,
    unit: 'messages',
    means: 'kept beside the socket for one peer that does not read; beyond it the peer counts as gone',
    memory: 'stalledBytes at most',
  },
  stalledBytes: {
    value: 32 * 1024 * 1024,
    unit: 'bytes',
    means: 'the same, in bytes',
    memory: 'this much a peer that does not read',
  },
  cacheBytes: {
    value: 10 * 1024 * 1024,
    unit: 'bytes',
    means: 'verified runs that a node keeps in memory for askers close together',
    memory: 'this much a node',
  },
  pageCacheBytes: {
    value: 8 * 1024 * 1024,
    unit: 'bytes',
    means: 'pages that a node keeps decoded in memory, per stream',
    memory: 'this much a stream in use',
  },
  slabBytes: { value: 64 * 1024 * 1024, unit: 'bytes', means: 'one slab file of a store', memory: 'none: on disk' },
  freeSpaceBytes: {
    value: 256 * 1024 * 1024,
    unit: 'bytes',
    means: 'left free on the disk of a store',
    memory: 'none: on disk',
  },
  queryParts: { value: 256, unit: 'parts', means: 'parts of one answer to `query`', memory: '100 bytes each' },
  fetchMs: {
    value: 60_000,
    unit: 'ms',
    means:
      'a run that is not there by then is given up by who fetches it, and its master forgets that it sent somebody for it',
    memory: '-',
  },
  childrenPerNode: {
    value: 1024,
    unit: 'children',
    means: 'children registered at one master',
    memory: '1 kB each and 16 bytes a range held',
  },
  leaseMs: { value: 6000, unit: 'ms', means: 'a lease that is not renewed for this long ends', memory: '-' },
  pingMs: {
    value: 700,
    unit: 'ms',
    means: 'a node that does not answer a ping for this long, and sends nothing else meanwhile, is taken for dead',
    memory: '-',
  },
  returnStableMs: {
    value: 30_000,
    unit: 'ms',
    means: 'a master that came back must answer this long before its children return to it',
    memory: '-',
  },
  descriptorFreshMs: {
    value: 2000,
    unit: 'ms',
    means: 'a descriptor older than this is asked for again when somebody describes the stream',
    memory: '-',
  },
  confirmMs: {
    value: 1000,
    unit: 'ms',
    means: 'a stream that is known is served as it is known when no master confirms it within this',
    memory: '-',
  },
  uploadsAtOnce: {
    value: 16,
    unit: 'uploads',
    means: 'uploads of publishers that a source works on at once; one more is refused',
    memory: 'uploadQueueBytes and a page each',
  },
  uploadBytes: {
    value: 0,
    unit: 'bytes',
    means: 'media of one upload; 0: what is free on the disk, less freeSpaceBytes',
    memory: 'none: on disk',
  },
  uploadQueueBytes: {
    value: 32 * 1024 * 1024,
    unit: 'bytes',
    means: 'chunks of one upload that wait to be written; more are refused until they are',
    memory: 'this much an upload, and one chunk',
  },
  uploadIdleMs: {
    value: 60_000,
    unit: 'ms',
    means: 'an upload that nothing came for is put aside, and taken up again when its publisher calls',
    memory: '-',
  },
  uploadKeptMs: {
    value: 24 * 3600 * 1000,
    unit: 'ms',
    means: 'an unfinished upload that nothing came for is removed',
    memory: 'none: on disk',
  },
  streamsPerNode: { value: 10_000, unit: 'streams', means: 'streams listed by one node', memory: '1 kB each' },
} as const satisfies Record<string, Limit>

/** The values alone. */
export const limits = Object.fromEntries(Object.entries(limitTable).map(([name, { value }]) => [name, value])) as {
  readonly [Name in keyof typeof limitTable]: number
}
