import { readFileSync } from 'node:fs'
import { parse, YAMLParseError } from 'yaml'
import type { Argv, Options } from 'yargs'
import { errnoOf, Failure } from '../base/errors.ts'
import { publisherPolicies } from '../node/authorise.ts'
import type { Command } from './command.ts'
import { logLevels } from './log.ts'

/** All options of all commands, in one table: a name means the same everywhere. */
export const options = {
  name: { type: 'string', describe: 'Name of the node; of publish, of the stream' },
  ip: { type: 'string', default: '127.0.0.1', describe: 'Address to listen on; 0.0.0.0 for all' },
  port: { type: 'number', default: 7999, describe: 'Port to listen on; 0 takes a free one' },
  videodatabase: { type: 'string', describe: 'Be a source: the folder that split_video publishes into' },
  chunkdirectory: { type: 'string', describe: 'Be a relay: the folder for its chunks, made if missing' },
  master: { type: 'string', describe: 'The node above, tcp://HOST:PORT' },
  supermaster: { type: 'string', array: true, describe: 'Nodes to turn to when the master fails, nearest first' },
  capacity: { type: 'string', default: '10g', describe: 'Most bytes of chunks that a relay keeps' },
  publishers: {
    choices: publisherPolicies,
    default: 'loopback',
    describe: 'From where a source takes streams of `peerstreamer publish`',
  },
  keyfile: {
    type: 'string',
    describe: "File with this node's own keys, as keygen makes it; connections are encrypted",
  },
  allow: { type: 'string', describe: 'File with a line "KEY ROLE LABEL" for each key that may connect' },
  'master-key': { type: 'string', describe: 'The key that the master must show; or write it as tcp://KEY@HOST:PORT' },
  source: {
    type: 'string',
    describe: 'The node to stream from, tcp://HOST:PORT or a link; of split, the source that the link names',
  },
  filename: { type: 'string', alias: 'f', describe: 'Name of the stream' },
  interval: { type: 'number', describe: 'Write a chunk every so many ms' },
  realtime: { type: 'boolean', describe: 'Write chunks by their own times' },
  output: { type: 'string', alias: 'o', describe: 'File to write to; - for standard output' },
  player: { type: 'string', describe: 'Feed a player: vlc, mpv, ffplay, or any command' },
  from: { type: 'string', describe: 'Where to begin: the index of a chunk, or a time such as 90s or 0:01:30' },
  count: { type: 'number', describe: 'Most chunks to write' },
  resume: { type: 'boolean', describe: 'Continue the output file behind its last whole chunk' },
  eventlog: { type: 'string', describe: 'File for one JSON line a chunk: index, digest, asked, done, from whom' },
  directory: { type: 'string', alias: 'd', default: 'video_data', describe: 'Video database to publish into' },
  input: { type: 'string', alias: 's', describe: 'File to publish; - for standard input' },
  chunk: {
    type: 'string',
    alias: 'c',
    default: '1m',
    describe: 'Most that a chunk holds: 1m, 250k, 5k, 4096, 4s, 500ms',
  },
  format: { choices: ['auto', 'fmp4', 'bytes'], default: 'auto', describe: 'fmp4 for films, bytes for anything' },
  encrypt: { type: 'boolean', describe: 'Encrypt the content; the link that is printed is what decrypts it' },
  replace: { type: 'boolean', describe: 'Publish a name anew that is taken' },
  to: { type: 'string', describe: 'The source to publish to, tcp://HOST:PORT' },
  watch: { type: 'boolean', describe: 'Keep all files of the folder published' },
  signingkey: {
    type: 'string',
    describe: 'File with the key that signs, made if missing; default peerstreamer/signing.key in ~/.config',
  },
  video: { type: 'string', describe: 'A film of yours, in place of the one that is made' },
  stay: { type: 'boolean', describe: 'Leave the tree running until Ctrl-C' },
  json: { type: 'boolean', describe: 'Print JSON for programs' },
  log: { choices: logLevels, default: 'info', describe: 'Least grave messages that are logged' },
} as const satisfies Record<string, Options>

export type OptionName = keyof typeof options

/** Adds a command's options, and `--config`; a flag goes before the environment, that before the file, that before the default. */
export function withOptions(yargs: Argv, command: Pick<Command<never>, 'options' | 'defaults'>): Argv {
  const { options: names, defaults = {} } = command
  const environment = fromEnvironment(names, process.env)
  for (const name of names) {
    const option: Options = options[name]
    const fallback = defaults[name] === undefined ? {} : { default: defaults[name] }
    yargs.option(name, { ...option, ...fallback, requiresArg: option.type !== 'boolean' })
  }
  // yargs turns what its reader throws into an error of its own; a check passes a failure on as it is.
  let failure: unknown
  const read = (path: string) => {
    try {
      return { ...readConfig(path, names), ...environment }
    } catch (error) {
      failure = error
      return environment
    }
  }
  return yargs
    .config('config', 'YAML file with options; a flag or the environment goes before it', read)
    .config(environment)
    .check(() => {
      if (failure !== undefined) throw failure
      return true
    })
}

/** The words of a command line, a key that begins with a dash (one of 64 does) joined to its option: else it reads as an option itself. */
export function withKeysJoined(words: readonly string[]): string[] {
  const joined: string[] = []
  for (const word of words) {
    if (joined.at(-1) === '--master-key' && /^-[\w-]{42}$/.test(word)) joined.push(`${joined.pop()}=${word}`)
    else joined.push(word)
  }
  return joined
}

/** `PEERSTREAMER_<OPTION>` for the options of this command; an empty one says nothing. */
export function fromEnvironment(names: readonly OptionName[], environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (const name of names) {
    const variable = `PEERSTREAMER_${name.toUpperCase().replaceAll('-', '_')}`
    const text = environment[variable]
    if (text) found[name] = typedValue(name, text, variable)
  }
  return found
}

/** What the file says; of an option without a value nothing. */
function readConfig(path: string, names: readonly OptionName[]): Record<string, unknown> {
  let value: unknown
  try {
    value = parse(readFileSync(path, 'utf8')) ?? {}
  } catch (cause) {
    const why = cause instanceof YAMLParseError ? cause.message.split('\n')[0] : (errnoOf(cause) ?? cause)
    throw new Failure('bad-config', `cannot read ${path}: ${why}`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Failure('bad-config', `expected ${path} to hold lines such as "port: 8001"`)
  const found: Record<string, unknown> = {}
  for (const [key, raw] of Object.entries(value)) {
    const name = names.find((known) => known === key)
    if (name === undefined) {
      throw new Failure(
        'bad-config',
        `${path} has the unknown option "${key}"; options of this command are ${names.join(', ')}`,
      )
    }
    if (raw !== null) found[name] = typedValue(name, raw, `${key} in ${path}`)
  }
  return found
}

/** A value that did not come from the command line, as the type that its option has. Throws `bad-config`. */
function typedValue(name: OptionName, raw: unknown, what: string): unknown {
  const option: Options = options[name]
  if (option.array) return (Array.isArray(raw) ? raw : [raw]).map(String)
  if (typeof raw === 'object') throw new Failure('bad-config', `expected ${what} to be one value`)
  if (option.type === 'boolean') {
    const text = String(raw).toLowerCase()
    if (['true', 'yes', 'on', '1'].includes(text)) return true
    if (['false', 'no', 'off', '0'].includes(text)) return false
    throw new Failure('bad-config', `expected ${what} to be true or false, got "${raw}"`)
  }
  if (option.type !== 'number') return String(raw)
  const number = String(raw).trim() === '' ? Number.NaN : Number(raw)
  if (Number.isFinite(number)) return number
  throw new Failure('bad-config', `expected ${what} to be a number, got "${raw}"`)
}
