import { setTimeout as pause } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { bringIntoPageCache } from './page-cache.ts'
import { type Cost, readCost } from './process-cost.ts'
import { percentile } from './statistics.ts'

/** One transfer of one contender in one round. */
export interface Sample {
  contender: string
  /** Cold: the relay, or the leecher, has nothing yet. Warm: it has all. */
  temperature: 'cold' | 'warm'
  streamers: number
  /** Bytes that reached all clients together. */
  deliveredBytes: number
  seconds: number
  mbPerSec: number
  processes: ProcessFigures[]
  /** How long after the chunk before it a chunk came, ms, over all clients. */
  chunkMs?: { p50: number; p99: number }
  /** What our relay stored of it; below 1 it passed chunks on without keeping them, as the disk was too slow for it. */
  storedShare?: number
}

/** Processes of one role. */
export interface ProcessFigures {
  role: string
  count: number
  /** CPU seconds of all of them, for each GB that reached the clients. */
  cpuSecPerGB: number
  /** Of all of them, since they started; not known of curl and iperf3, which have ended when it could be read. */
  peakMemoryBytes?: number
  writtenBytes: number
}

/** A process that takes the payload; it is up and waits for the word to begin. */
export interface Client {
  role: string
  pids(): number[]
  /** Its memory cannot be read afterwards. */
  hidesMemory?: boolean
  /** Takes the payload. */
  go(): Promise<Taken>
  stop(): Promise<void>
}

export interface Taken {
  /** Since the epoch, ms. */
  startedAt: number
  endedAt: number
  bytes: number
  chunkMs: number[]
}

export interface Server {
  role: string
  pids: number[]
  /** The file or folder that it sends from. */
  serves?: string
  hidesMemory?: boolean
}

/** A server writes what it received a little later than the client has it. */
const settleMs = 300

/** Until a relay has stored what came; by default a little while. */
const settle = () => pause(settleMs)

/**
 * Lets all clients begin at once and measures until the last has all. CPU counts from that moment: starting a process is no part of it,
 * nor is touching the memory that is free by then, nor reading from the disk what servers send: all have it in memory.
 */
export async function measure(
  { memory }: Bench,
  head: Pick<Sample, 'contender' | 'temperature'>,
  servers: Server[],
  clients: Client[],
  bytesEach: number,
  settled: () => Promise<unknown> = settle,
): Promise<Sample> {
  for (const { serves } of servers) if (serves !== undefined) await bringIntoPageCache(serves)
  await memory.fill()
  const roles = groupByRole([...servers, ...clients.map((client) => ({ ...client, pids: client.pids() }))])
  const before = new Map([...roles].map(([role, { pids }]) => [role, readCost(pids)]))
  const stopLending = await memory.lend()
  const taken = await Promise.all(clients.map((client) => client.go()))
  await settled()
  stopLending()
  for (const { bytes } of taken) {
    if (bytes !== bytesEach) throw new Error(`${head.contender}: expected ${bytesEach} bytes, got ${bytes}`)
  }
  const deliveredBytes = bytesEach * clients.length
  const seconds = (Math.max(...taken.map((one) => one.endedAt)) - Math.min(...taken.map((one) => one.startedAt))) / 1000
  const chunkMs = taken.flatMap((one) => one.chunkMs)
  return {
    ...head,
    streamers: clients.length,
    deliveredBytes,
    seconds,
    mbPerSec: deliveredBytes / 1e6 / seconds,
    processes: [...roles].map(([role, group]) => figuresOf(role, group, before.get(role), deliveredBytes)),
    ...(chunkMs.length > 0 ? { chunkMs: { p50: percentile(chunkMs, 0.5), p99: percentile(chunkMs, 0.99) } } : {}),
  }
}

/** CPU seconds a delivered GB of all processes of a sample together. */
export function totalCpu(sample: Sample): number {
  return sample.processes.reduce((sum, { cpuSecPerGB }) => sum + cpuSecPerGB, 0)
}

export function processOf(sample: Sample, role: string): ProcessFigures | undefined {
  return sample.processes.find((process) => process.role === role)
}

interface Group {
  pids: number[]
  count: number
  hidesMemory: boolean
}

function groupByRole(all: Server[]): Map<string, Group> {
  const roles = new Map<string, Group>()
  for (const { role, pids, hidesMemory = false } of all) {
    const group = roles.get(role) ?? { pids: [], count: 0, hidesMemory }
    group.pids.push(...pids)
    group.count++
    roles.set(role, group)
  }
  return roles
}

function figuresOf(
  role: string,
  { pids, count, hidesMemory }: Group,
  before: Cost | undefined,
  deliveredBytes: number,
): ProcessFigures {
  const after = readCost(pids)
  return {
    role,
    count,
    cpuSecPerGB: (after.cpuSeconds - (before?.cpuSeconds ?? 0)) / (deliveredBytes / 1e9),
    ...(hidesMemory ? {} : { peakMemoryBytes: after.peakMemoryBytes }),
    writtenBytes: after.writtenBytes - (before?.writtenBytes ?? 0),
  }
}
