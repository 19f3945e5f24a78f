import { basename, extname } from 'node:path'
import { Failure } from '../base/errors.ts'
import { formatBytes, formatDuration, parseDuration, parseSize } from '../base/units.ts'
import type { ChunkLimit } from '../media/chunker.ts'
import { split } from '../media/split.ts'
import { peakMemoryBytes } from '../node/memory.ts'
import { VideoDatabase } from '../store/video-database.ts'
import { newContentKey } from '../stream/content.ts'
import { formatLink, parseLink } from '../stream/links.ts'
import { nameFrom, parseName } from '../stream/names.ts'
import type { Command } from './command.ts'
import { progressBar } from './progress-bar.ts'
import { signalToStop } from './run.ts'

interface SplitArguments {
  directory: string
  input?: string
  filename?: string
  chunk: string
  format: 'auto' | 'fmp4' | 'bytes'
  encrypt?: boolean
  replace?: boolean
  source?: string
  json?: boolean
}

/** Where a source listens unless it is told otherwise. */
const defaultSource = 'tcp://127.0.0.1:7999'

/** `split_video`: publishes one film or file into a video database. */
export const splitCommand: Command<SplitArguments> = {
  name: 'split',
  describe: 'Publish a film or file into a video database',
  usage: '[-d video_data] -s film.mp4 [-c 1m] [-f film]',
  examples: [
    ['$0 -d video_data -s film.mp4 -c 1m -f film', 'publish a film in chunks of at most 1 MiB'],
    ['$0 -d video_data -s film.mkv -c 4s --replace', 'publish it anew, in chunks of 4 seconds'],
    ['$0 -d video_data -s film.mp4 --encrypt', 'so that only who has the printed link can read it'],
    ['tar c photos | $0 -d video_data -s - -f photos', 'publish what comes from a pipe'],
  ],
  options: ['directory', 'input', 'filename', 'chunk', 'format', 'encrypt', 'replace', 'source', 'json'],
  run: runSplit,
}

async function runSplit(args: SplitArguments): Promise<void> {
  const { input } = args
  if (input === undefined)
    throw new Failure('bad-argument', 'name the file to publish with -s FILE, or -s - for standard input')
  const name = args.filename === undefined ? defaultName(input) : parseName(args.filename, 'the name (-f)')
  const limit = parseLimit(args.chunk)
  // The environment may hold a link here, meant for the streamer.
  const { address } = parseLink(args.source ?? defaultSource, '--source')
  const contentKey = args.encrypt ? newContentKey() : undefined
  const signal = signalToStop()
  const database = await VideoDatabase.open(args.directory, { create: true })
  const bar = process.stderr.isTTY && !args.json ? progressBar() : undefined
  try {
    const descriptor = await split({
      database,
      input: input === '-' ? { stdin: process.stdin } : { path: input },
      name,
      limit,
      format: args.format,
      replace: args.replace ?? false,
      contentKey,
      signal,
      onReencode: ({ type, codec, encodeTo }) =>
        process.stderr.write(`the ${type} track is ${codec}, which does not fit; it is re-encoded to ${encodeTo}\n`),
      onProgress: (done, total) => bar?.show(done, total),
    })
    bar?.stop()
    const link = formatLink(address, name, descriptor.publicKey, contentKey)
    const { chunkCount, mediaBytes, fields } = descriptor
    const summary = {
      name,
      format: fields.format,
      epoch: fields.epoch,
      chunks: chunkCount,
      bytes: mediaBytes,
      durationMs: fields.durationMs,
      link,
    }
    if (args.json) process.stdout.write(`${JSON.stringify({ ...summary, peakMemoryBytes: peakMemoryBytes() })}\n`)
    else {
      const duration = fields.durationMs > 0 ? `, ${formatDuration(fields.durationMs)}` : ''
      process.stdout.write(`${name}: ${chunkCount} chunks, ${formatBytes(mediaBytes)}${duration}\n${link}\n`)
    }
  } finally {
    bar?.stop()
    await database.close()
  }
}

function defaultName(input: string): string {
  if (input === '-') throw new Failure('bad-argument', 'standard input has no name; give one with -f NAME')
  return nameFrom(basename(input, extname(input)), 'stream')
}

/** `-c`: a size or a duration. */
export function parseLimit(text: string): ChunkLimit {
  const trimmed = String(text).trim()
  return /s$/.test(trimmed) ? { durationMs: parseDuration(trimmed, '-c') } : { sizeBytes: parseSize(trimmed, '-c') }
}
