import { mkdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, extname, join } from 'node:path'
import { systemClock } from '../base/clock.ts'
import { errnoOf, Failure } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'
import { type PublishOptions, publish } from '../publisher/publish.ts'
import { watchFolder } from '../publisher/watch.ts'
import { openSigningKey } from '../store/signing-key.ts'
import { parseAddress } from '../stream/address.ts'
import { formatLink } from '../stream/links.ts'
import { nameFrom, parseName } from '../stream/names.ts'
import type { Command } from './command.ts'
import { openKeys } from './keys.ts'
import { createLogger, type LogLevel } from './log.ts'
import { type ProgressBar, progressBar } from './progress-bar.ts'
import { signalToStop } from './run.ts'
import { parseLimit } from './split-video.ts'

interface PublishArguments {
  path?: string
  to?: string
  name?: string
  chunk: string
  format: 'auto' | 'fmp4' | 'bytes'
  replace?: boolean
  signingkey?: string
  watch?: boolean
  keyfile?: string
  json?: boolean
  log: LogLevel
}

/** `peerstreamer publish`: hands a film, or all files of a folder, to a source over the network. */
export const publishCommand: Command<PublishArguments> = {
  name: 'publish',
  describe: 'Hand a film or file to a source over the network',
  positional: { name: 'path', describe: 'The film or file; with --watch a folder of them' },
  usage: '(FILE [--name NAME] [--replace] | DIR --watch) --to tcp://HOST:PORT [-c 1m]',
  examples: [
    ['$0 film.mp4 --to tcp://127.0.0.1:7999 --name film', 'publish a film; the same line goes on where it broke off'],
    ['$0 film.mp4 --to tcp://127.0.0.1:7999 --name film --replace', 'publish it anew'],
    ['$0 films --watch --to tcp://127.0.0.1:7999', 'keep a folder published'],
  ],
  options: ['to', 'name', 'chunk', 'format', 'replace', 'watch', 'signingkey', 'keyfile', 'json', 'log'],
  run: runPublish,
}

type Common = Pick<PublishOptions, 'to' | 'limit' | 'format' | 'signer' | 'keys' | 'signal' | 'onReencode'>

async function runPublish(args: PublishArguments): Promise<void> {
  const { path = '', watch = false } = args
  if (args.to === undefined)
    throw new Failure('bad-argument', 'name the source to publish to with --to tcp://HOST:PORT')
  const to = parseAddress(args.to, '--to')
  const limit = parseLimit(args.chunk)
  await checkPath(path, watch)
  if (watch && (args.name !== undefined || args.replace !== undefined))
    throw new Failure(
      'bad-argument',
      '--watch names streams after their files and replaces what changed; leave out --name and --replace',
    )
  const name =
    args.name === undefined ? nameFrom(basename(path, extname(path)), 'stream') : parseName(args.name, '--name')
  const signal = signalToStop()
  const signer = await openSigningKey(args.signingkey ?? (await defaultSigningKey()))
  const common: Common = {
    to,
    limit,
    format: args.format,
    signer,
    keys: await openKeys(args.keyfile),
    signal,
    onReencode: ({ type, codec, encodeTo }) =>
      process.stderr.write(`the ${type} track is ${codec}, which does not fit; it is re-encoded to ${encodeTo}\n`),
  }
  if (!watch) return publishOne(args, { ...common, path, name, replace: args.replace ?? false })
  const log = createLogger({ name: 'publish', level: args.log, json: args.json ?? false })
  await watchFolder({
    folder: path,
    clock: systemClock,
    log,
    signal,
    publishFile: (file, stream, checkSame) =>
      publishOne(args, { ...common, path: file, name: stream, replace: true, onCut: checkSame }),
  })
}

async function publishOne(args: PublishArguments, options: PublishOptions): Promise<void> {
  const bars = process.stderr.isTTY && !args.json ? twoBars() : undefined
  try {
    const { descriptor, sent } = await publish({ ...options, onProgress: (...done) => bars?.show(...done) })
    bars?.stop()
    const { name, chunkCount, mediaBytes, publicKey, fields, epoch } = descriptor
    const link = formatLink(options.to, name, publicKey)
    if (args.json) {
      const { format, durationMs } = fields
      const summary = { name, format, chunks: chunkCount, bytes: mediaBytes, durationMs, link }
      const told = sent
        ? { ...summary, epoch, sentChunks: sent.chunks, sentBytes: sent.bytes }
        : { ...summary, sentChunks: 0, sentBytes: 0 }
      process.stdout.write(`${JSON.stringify(told)}\n`)
    } else {
      const how = sent ? `${formatBytes(sent.bytes)} sent` : 'published already as it is'
      process.stdout.write(`${name}: ${chunkCount} chunks, ${formatBytes(mediaBytes)}, ${how}\n${link}\n`)
    }
  } finally {
    bars?.stop()
  }
}

/** One bar for cutting, then one for sending. */
function twoBars(): { show(...done: Parameters<NonNullable<PublishOptions['onProgress']>>): void; stop(): void } {
  const bars: Record<'cutting' | 'sending', ProgressBar> = {
    cutting: progressBar('cutting'),
    sending: progressBar('sending'),
  }
  return {
    show(step, done, total) {
      if (step === 'sending') bars.cutting.stop()
      bars[step].show(done, total)
    },
    stop() {
      bars.cutting.stop()
      bars.sending.stop()
    },
  }
}

async function checkPath(path: string, watch: boolean): Promise<void> {
  const found = await stat(path).catch((cause) => {
    const why = errnoOf(cause) === 'ENOENT' ? 'there is no such file' : errnoOf(cause)
    throw new Failure('bad-argument', `cannot read ${path}: ${why}`, { cause })
  })
  if (found.isDirectory() && !watch)
    throw new Failure(
      'bad-argument',
      `${path} is a folder; publish one file, or keep the folder published with --watch`,
    )
  if (!found.isDirectory() && watch) throw new Failure('bad-argument', `${path} is a file; --watch takes a folder`)
}

/** In the user's folder for configuration. */
async function defaultSigningKey(): Promise<string> {
  const { XDG_CONFIG_HOME: configured } = process.env
  const path = join(configured || join(homedir(), '.config'), 'peerstreamer', 'signing.key')
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause) => {
    const told = `cannot make the folder ${dirname(path)}: ${errnoOf(cause)}; name a key file with --signingkey`
    throw new Failure('directory-unusable', told, { cause })
  })
  return path
}
