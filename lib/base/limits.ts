/**
 * Every cap in one table: its value, its unit, and why it is what it is.
 * docs/limits.md says the same for people; a test holds the two together.
 */
export const limits = {
  /** bytes; a run of chunks asked for at once is at most this (or one larger chunk). 1 MiB moves at full speed (bench). */
  runBytes: 1024 * 1024,
  /** bytes; the largest chunk that can be published: it must fit a frame and a few must fit the memory of a relay. */
  chunkBytes: 16 * 1024 * 1024,
  /** bytes; the smallest `-c`: below it a record outweighs its chunk. */
  minChunkBytes: 256,
  /** bytes; one ZeroMQ frame; a larger one is refused by libzmq before memory is taken. */
  frameBytes: 17 * 1024 * 1024,
  /** frames; one message; more are dropped. */
  messageFrames: 8,
  /** records; one on-demand page. */
  pageRecords: 1024,
  /** bytes; one encoded page. */
  pageBytes: 1024 * 1024,
  /** bytes; one encoded descriptor, init segment included. */
  descriptorBytes: 1024 * 1024,
  /** bytes; asked for and not yet received, per peer: nine tenths of what a loopback link can carry. */
  windowBytes: 8 * 1024 * 1024,
  /** requests; in flight to one peer. */
  requestsPerPeer: 64,
  /** calls; in progress at a server for all peers together. */
  callsPerServer: 4096,
  /** messages; queued in a socket for one peer: more than a window of runs, or the link idles. */
  sendQueueMessages: 24,
  /** messages; kept beside the socket for one peer that does not read; beyond it the peer counts as gone. */
  stalledMessages: 1024,
  /** bytes; the same. */
  stalledBytes: 32 * 1024 * 1024,
  /** bytes; verified runs that a node keeps in memory for askers close together. */
  cacheBytes: 16 * 1024 * 1024,
  /** bytes; pages that a node keeps decoded in memory. */
  pageCacheBytes: 8 * 1024 * 1024,
  /** bytes; one slab file. */
  slabBytes: 64 * 1024 * 1024,
  /** bytes; left free on the disk of a store. */
  freeSpaceBytes: 256 * 1024 * 1024,
  /** parts; one answer to `query`. */
  queryParts: 256,
  /** children; registered at one master. */
  childrenPerNode: 1024,
  /** ms; a lease that is not renewed ends. */
  leaseMs: 6000,
  /** ms; a node that does not answer a ping for this long is taken for dead. */
  pingMs: 700,
  /** ms; a master that came back must answer this long before its children return to it. */
  returnStableMs: 30_000,
  /** ms; a descriptor older than this is asked for again when somebody describes the stream. */
  descriptorFreshMs: 2000,
  /** streams; listed by one node. */
  streamsPerNode: 10_000,
} as const
