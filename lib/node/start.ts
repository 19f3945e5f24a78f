import { type Chance, type Clock, systemChance, systemClock } from '../base/clock.ts'
import { Failure } from '../base/errors.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import { limits } from '../base/limits.ts'
import type { Logger } from '../base/log.ts'
import { Peers } from '../network/peers.ts'
import { Traffic } from '../network/traffic.ts'
import { Uplink } from '../network/uplink.ts'
import { LevelChunkStore } from '../store/level-store.ts'
import { Uploads } from '../store/uploads.ts'
import { VideoDatabase } from '../store/video-database.ts'
import type { Address } from '../stream/address.ts'
import { parseName } from '../stream/names.ts'
import { Fetcher } from '../transfer/fetcher.ts'
import { Prefetcher } from '../transfer/prefetcher.ts'
import { RemoteStreams } from '../transfer/remote-streams.ts'
import { RunCache } from '../transfer/run-cache.ts'
import type { KeyPair } from '../zerorpc/index.ts'
import { Admission } from './admission.ts'
import type { Publishers } from './authorise.ts'
import { Holdings } from './holdings.ts'
import { Node, type RunningNode } from './node.ts'
import { RelayProvider, RelayShelf } from './relay-provider.ts'
import { SourceProvider } from './source-provider.ts'

export interface NodeOptions {
  name: string
  /** Address to bind to; `0.0.0.0` for all. */
  ip: string
  /** 0 takes a free one. */
  port: number
  log: Logger
  /** Own keys: connections are encrypted, and only keys in the file `allow` are admitted. */
  keys?: KeyPair | undefined
  /** File with a line `KEY ROLE LABEL` for each key; needed with keys. */
  allow?: string | undefined
  /** Makes the node a source. */
  videoDatabase?: string
  /** Makes the node a relay, together with `masters`. */
  chunkDirectory?: string
  /** The master, then the supermasters that are known beforehand. */
  masters?: Address[]
  /** Who may publish at a source over the network; default `loopback`. */
  publishers?: Publishers
  /** Bytes of chunks that a relay keeps at most; default 10 GiB. */
  capacityBytes?: number
  /** How long a master that came back must answer before it is returned to, ms; default `limits.returnStableMs`. */
  returnStableMs?: number
  clock?: Clock
  chance?: Chance
}

const defaultCapacityBytes = 10 * 1024 ** 3

/** Starts a source or a relay. When it cannot start, nothing is left behind and the failure says why. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  parseName(options.name, '--name')
  const lifecycle = new Lifecycle()
  try {
    return await (options.videoDatabase !== undefined
      ? startSource(options, options.videoDatabase, lifecycle)
      : startRelay(options, lifecycle))
  } catch (error) {
    await lifecycle.close().catch(() => {})
    throw error
  }
}

/** Keys without a list would admit nobody, a list without keys anybody: both are a slip. */
async function openAdmission(options: NodeOptions, lifecycle: Lifecycle): Promise<Admission | undefined> {
  const { keys, allow, log, clock = systemClock } = options
  if (!keys && allow === undefined) return undefined
  if (!keys)
    throw new Failure('bad-argument', '--allow needs --keyfile: without keys of its own a node cannot tell who calls')
  if (allow === undefined)
    throw new Failure(
      'bad-argument',
      '--keyfile needs --allow FILE, with a line "KEY ROLE LABEL" for each key that may connect',
    )
  return lifecycle.own(await Admission.open(allow, { clock, log }))
}

async function startSource(options: NodeOptions, directory: string, lifecycle: Lifecycle): Promise<RunningNode> {
  const database = lifecycle.own(await VideoDatabase.open(directory, { create: false }))
  const traffic = new Traffic()
  const admission = await openAdmission(options, lifecycle)
  const { keys, log } = options
  const peers = lifecycle.own(new Peers(options.clock ?? systemClock, { keys, log }))
  const provider = new SourceProvider(database, (bytes) => {
    traffic.bytesFrom.store += bytes
  })
  const uploads = lifecycle.own(await Uploads.open({ database, clock: options.clock ?? systemClock, log: options.log }))
  const node = new Node('source', { ...options, admission }, { provider, peers, traffic, uploads, lifecycle })
  await node.listen()
  return node
}

async function startRelay(options: NodeOptions, lifecycle: Lifecycle): Promise<RunningNode> {
  const { clock = systemClock, chance = systemChance, log, masters = [], chunkDirectory } = options
  if (chunkDirectory === undefined || masters.length === 0) {
    throw new Failure('bad-argument', 'a relay needs a chunk directory and a master')
  }
  const capacityBytes = options.capacityBytes ?? defaultCapacityBytes
  const store = lifecycle.own(await LevelChunkStore.open(chunkDirectory, { capacityBytes, clock, log }))
  const traffic = new Traffic()
  const cache = new RunCache(limits.cacheBytes)
  const admission = await openAdmission(options, lifecycle)
  const peers = lifecycle.own(new Peers(clock, { keys: options.keys, log }))
  const uplink = new Uplink({
    self: { name: options.name, address: () => node.address },
    masters,
    peers,
    clock,
    chance,
    log,
    onRegistered: () => holdings.announce(uplink),
    returnStableMs: options.returnStableMs,
  })
  const streams = new RemoteStreams({ uplink, peers, store, clock, log })
  await streams.load()
  const holdings = new Holdings(store, clock, (stream) => streams.nameOf(stream))
  const shelf = new RelayShelf(store, cache, holdings, lifecycle, clock)
  const fetcher = new Fetcher({ uplink, peers, traffic, clock, chance, log })
  const prefetcher = new Prefetcher({
    ...{ fetcher, uplink, peers, clock, shelf },
    windowBytes: limits.windowBytes,
    inFlightBytes: (address) => peers.at(address).pace.inFlightBytes,
  })
  lifecycle.onClose(() => {
    holdings.close()
    prefetcher.close()
  })
  lifecycle.own(uplink)
  const provider = new RelayProvider({ uplink, streams, prefetcher, store, cache, shelf, traffic })
  const node = new Node('relay', { ...options, admission }, { provider, peers, traffic, lifecycle })
  await node.listen()
  uplink.start()
  return node
}
