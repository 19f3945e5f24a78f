import { systemClock } from '../base/clock.ts'
import { Failure } from '../base/errors.ts'
import { formatBytes, formatDuration } from '../base/units.ts'
import type { NodeStats, StreamRow } from '../network/contract.ts'
import { Peer } from '../network/peer.ts'
import { parseLink } from '../stream/links.ts'
import type { Command } from './command.ts'
import { openKeys } from './keys.ts'

interface AskArguments {
  node?: string
  keyfile?: string
  json?: boolean
}

/** `peerstreamer list`: what a node has. */
export const listCommand = askCommand(
  'list',
  'List the streams that a node knows',
  (peer) => peer.list({ timeoutMs: 5000 }),
  showStreams,
)

/** `peerstreamer stats`: what a node did. */
export const statsCommand = askCommand(
  'stats',
  'Show what a node did since its start',
  (peer) => peer.stats({ timeoutMs: 5000 }),
  showStats,
)

function askCommand<T>(
  name: string,
  describe: string,
  ask: (peer: Peer) => Promise<T>,
  show: (answer: T) => string,
): Command<AskArguments> {
  return {
    name,
    describe,
    positional: { name: 'node', describe: 'tcp://HOST:PORT' },
    usage: 'tcp://HOST:PORT [--json]',
    examples: [['$0 tcp://127.0.0.1:7999', describe]],
    options: ['keyfile', 'json'],
    async run(args) {
      const { address } = parseLink(args.node ?? '', 'the node')
      const peer = new Peer(address, systemClock, await openKeys(args.keyfile))
      try {
        const answer = await ask(peer)
        process.stdout.write(args.json ? `${JSON.stringify(answer, null, 2)}\n` : show(answer))
      } catch (error) {
        throw error instanceof Failure && error.code === 'timeout'
          ? new Failure('unreachable', `${address} does not answer; is a node running there?`, { cause: error })
          : error
      } finally {
        await peer.close()
      }
    },
  }
}

function showStreams(streams: StreamRow[]): string {
  if (streams.length === 0) return 'no stream is published here\n'
  return table(
    ['name', 'format', 'chunks', 'size', 'duration', 'key'],
    streams.map(({ name, format, chunkCount, mediaBytes, durationMs, key }) => [
      name,
      format,
      String(chunkCount),
      formatBytes(mediaBytes),
      durationMs > 0 ? formatDuration(durationMs) : '-',
      key,
    ]),
  )
}

function showStats(stats: NodeStats): string {
  const {
    name,
    role,
    address,
    master,
    children,
    bytesFrom,
    bytesSent,
    bytesReceived,
    chunksSent,
    chunksReceived,
    badChunks,
  } = stats
  const rows = [
    ['node', `${name} (${role}) at ${address}, up ${stats.uptimeSeconds} s`],
    ['master', master ?? '-'],
    ['children', children.map((child) => child.name).join(', ') || '-'],
    ['sent', `${formatBytes(bytesSent)} in ${chunksSent} chunks`],
    ['received', `${formatBytes(bytesReceived)} in ${chunksReceived} chunks`],
    ...Object.entries(bytesFrom).map(([origin, bytes]) => [`  from ${origin}`, formatBytes(bytes)]),
    ['bad chunks', String(badChunks)],
    ['memory', formatBytes(stats.memoryBytes)],
  ]
  return table([], rows)
}

/** Columns of equal width. */
export function table(head: string[], rows: string[][]): string {
  const all = head.length > 0 ? [head, ...rows] : rows
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
