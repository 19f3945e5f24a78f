import { Failure } from '../base/errors.ts'
import { formatBytes, formatDuration, parseDuration } from '../base/units.ts'
import { peakMemoryBytes } from '../node/memory.ts'
import { parseLink } from '../stream/links.ts'
import { parseName } from '../stream/names.ts'
import { EventLog } from '../streamer/event-log.ts'
import { nullOutput, type Output, openFileOutput, openPlayerOutput, openStdoutOutput } from '../streamer/output.ts'
import type { From } from '../streamer/position.ts'
import { type StreamProgress, streamTo } from '../streamer/stream.ts'
import type { Command } from './command.ts'
import { openKeys } from './keys.ts'
import { createLogger, type LogLevel } from './log.ts'
import { signalToStop } from './run.ts'

interface StreamArguments {
  source?: string
  filename?: string
  interval?: number
  realtime?: boolean
  output?: string
  player?: string
  from?: string
  count?: number
  resume?: boolean
  eventlog?: string
  json?: boolean
  keyfile?: string
  log: LogLevel
}

/** `video_streamer.js`: takes a stream and writes it to a pipe, a file or a player. */
export const streamCommand: Command<StreamArguments> = {
  name: 'stream',
  describe: 'Stream to a pipe, a file or a player',
  usage: '--source tcp://HOST:PORT --filename NAME [--output FILE | --player PLAYER]',
  examples: [
    ['$0 --source tcp://127.0.0.1:8002 --filename film --interval 100', 'a chunk every 100 ms'],
    ['$0 --source tcp://127.0.0.1:8002/film#KEY --player vlc', 'watch what only this key may have signed'],
    ['PEERSTREAMER_SOURCE=tcp://127.0.0.1:8002/film#KEY.CONTENTKEY $0 -o film.mp4', 'decrypt what was published so'],
    ['$0 --source tcp://127.0.0.1:8002 -f film -o film.mp4 --resume', 'go on with a copy that was cut off'],
    ['$0 --source tcp://127.0.0.1:8002 -f film --from 90s | ffplay -', 'from the middle, through a pipe'],
  ],
  options: [
    'source',
    'filename',
    'interval',
    'realtime',
    'output',
    'player',
    'from',
    'count',
    'resume',
    'eventlog',
    'keyfile',
    'json',
    'log',
  ],
  defaults: { log: 'error' },
  run: runStream,
}

async function runStream(args: StreamArguments): Promise<void> {
  if (args.source === undefined)
    throw new Failure('bad-argument', 'name the node to stream from with --source tcp://HOST:PORT')
  const source = parseLink(args.source, '--source')
  const name = args.filename === undefined ? source.name : parseName(args.filename, '--filename')
  if (name === undefined)
    throw new Failure('bad-argument', 'name the stream with --filename NAME, or in the link: tcp://HOST:PORT/NAME')
  checkNumbers(args)
  const from = args.from === undefined ? undefined : parseFrom(String(args.from))
  const signal = signalToStop()
  const { output, resumeFrom, isQuiet } = await openOutput(args)
  const eventLog =
    args.eventlog === undefined ? undefined : await EventLog.open(args.eventlog, { resume: args.resume ?? false })
  const line = isQuiet || args.json || !process.stderr.isTTY ? undefined : new LiveLine()
  try {
    const summary = await streamTo({
      source,
      name,
      output,
      intervalMs: args.interval,
      realtime: args.realtime,
      from,
      count: args.count,
      resumeFrom,
      eventLog,
      signal,
      keys: await openKeys(args.keyfile),
      onProgress: (progress) => line?.show(progress),
      log: createLogger({ name: 'streamer', level: args.log, json: false }),
    })
    await output.close()
    line?.end()
    // Standard output may be the stream itself.
    const report = resultTo(args) === 'stdout' ? process.stderr : process.stdout
    if (args.json) report.write(`${JSON.stringify({ ...summary, peakMemoryBytes: peakMemoryBytes() })}\n`)
    else if (line)
      process.stderr.write(
        `${name}: ${summary.chunks} chunks, ${formatBytes(summary.bytes)} in ${summary.seconds.toFixed(1)} s\n`,
      )
  } finally {
    line?.end()
    await output.close()
    await eventLog?.close()
  }
}

/** With no output named: to a terminal only the live line, else the bytes. */
function resultTo(args: StreamArguments): 'file' | 'player' | 'stdout' | 'nowhere' {
  if (args.player !== undefined) return 'player'
  if (args.output !== undefined && args.output !== '-') return 'file'
  return args.output === '-' || !process.stdout.isTTY ? 'stdout' : 'nowhere'
}

async function openOutput(
  args: StreamArguments,
): Promise<{ output: Output; resumeFrom: number | undefined; isQuiet: boolean }> {
  const { output: path = '-', player, resume = false } = args
  if (player !== undefined && args.output !== undefined)
    throw new Failure('bad-argument', 'give --output or --player, not both')
  if (resume && (resultTo(args) !== 'file' || args.from !== undefined)) {
    throw new Failure(
      'bad-argument',
      '--resume continues the file of --output FILE from where it ends, so it takes neither a pipe nor --from',
    )
  }
  switch (resultTo(args)) {
    case 'player':
      return { output: await openPlayerOutput(player ?? ''), resumeFrom: undefined, isQuiet: false }
    case 'file': {
      const output = await openFileOutput(path, { resume })
      return { output, resumeFrom: resume ? output.sizeBytes : undefined, isQuiet: false }
    }
    case 'stdout':
      return { output: openStdoutOutput(), resumeFrom: undefined, isQuiet: true }
    case 'nowhere':
      return { output: nullOutput(), resumeFrom: undefined, isQuiet: false }
  }
}

function checkNumbers({ interval, count, realtime }: StreamArguments): void {
  if (interval !== undefined && !(interval >= 0))
    throw new Failure('bad-argument', `expected --interval to be a number of ms >= 0, got ${interval}`)
  if (interval !== undefined && realtime) throw new Failure('bad-argument', 'give --interval or --realtime, not both')
  if (count !== undefined && !(Number.isInteger(count) && count >= 1)) {
    throw new Failure('bad-argument', `expected --count to be a whole number of chunks >= 1, got ${count}`)
  }
}

/** `12` is a chunk; `90s`, `500ms`, `1:30` and `0:01:30.5` are times. */
export function parseFrom(text: string): From {
  if (/^\d{1,15}$/.test(text)) return { index: Number(text) }
  const match = /^(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2}(?:\.\d{1,3})?)$/.exec(text)
  if (match) return { timeMs: ((Number(match[1] ?? 0) * 60 + Number(match[2])) * 60 + Number(match[3])) * 1000 }
  return { timeMs: parseDuration(text, '--from') }
}

/** The line on a terminal: where the stream is, how fast, from whom. */
class LiveLine {
  #shownAt = 0
  #isShown = false

  show({ index, chunkCount, bytes, seconds, rateBytesPerSec, from, positionMs }: StreamProgress): void {
    if (seconds - this.#shownAt < 0.1 && index + 1 < chunkCount) return
    this.#shownAt = seconds
    this.#isShown = true
    const position = positionMs > 0 ? `  ${formatDuration(positionMs)}` : ''
    process.stderr.write(
      `\r\x1b[K${index + 1}/${chunkCount}${position}  ${formatBytes(bytes)}  ${formatBytes(rateBytesPerSec)}/s  from ${from}`,
    )
  }

  end(): void {
    if (this.#isShown) process.stderr.write('\n')
    this.#isShown = false
  }
}
