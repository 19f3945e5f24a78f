import { constants } from 'node:os'
import yargs, { type Argv, type CommandModule } from 'yargs'
import { errorCodes, Failure, toFailure } from '../base/errors.ts'
import { fitRuntime } from '../base/runtime.ts'
import { type Command, opening } from './command.ts'
import { withKeysJoined, withOptions } from './options.ts'

/** Ends what the command does; a second signal ends the process at once. */
export function signalToStop(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(exitCodeOf(name))
      stop.abort(new Interrupted(name))
    })
  }
  return stop.signal
}

/** The reason of an abort by a signal: no fault, and nothing to explain. */
export class Interrupted extends Error {
  readonly exitCode: number

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(signal)
    this.exitCode = exitCodeOf(signal)
  }
}

function exitCodeOf(signal: 'SIGINT' | 'SIGTERM'): number {
  return 128 + constants.signals[signal]
}

/** The front door: `peerstreamer COMMAND`. */
export async function runFrontDoor(commands: Command<never>[]): Promise<void> {
  const parser = commands.reduce(
    (parser, command) => parser.command(moduleOf(command, commandLine(command), `peerstreamer ${command.name}`)),
    base('peerstreamer'),
  )
  const examples: [string, string][] = [
    ['$0 split -d video_data -s film.mp4', 'publish a film'],
    ['$0 publish film.mp4 --to tcp://127.0.0.1:7999', 'or hand it to a source over the network'],
    ['$0 node --name source --videodatabase video_data', 'serve it'],
    ['$0 node --name a --port 8001 --chunkdirectory chunks/a --master tcp://127.0.0.1:7999', 'relay it'],
    ['$0 stream --source tcp://127.0.0.1:8001/film --player vlc', 'watch it'],
    ['$0 demo', 'see all of it work on this machine'],
  ]
  await run(
    parser
      .usage(opening('peerstreamer', { usage: 'COMMAND', examples }))
      .demandCommand(1, 'Expected a command')
      .completion('completion', 'Print a script for shell completion; source <(peerstreamer completion)'),
  )
}

/** A program of its own that is one command: `bin/node.js`. */
export async function runCommand(program: string, command: Command<never>): Promise<void> {
  await run(base(program).command(moduleOf(command, '$0', program)))
}

function moduleOf(command: Command<never>, line: string, program: string): CommandModule {
  return {
    command: line,
    describe: command.describe,
    builder(yargs) {
      const { positional } = command
      const told = withOptions(yargs, command).usage(opening(program, command))
      return positional ? told.positional(positional.name, { type: 'string', describe: positional.describe }) : told
    },
    handler: (args) => command.run(args as never),
  }
}

function commandLine({ name, positional }: Command<never>): string {
  return positional ? `${name} <${positional.name}>` : name
}

function base(program: string): Argv {
  return yargs(withKeysJoined(process.argv.slice(2)))
    .scriptName(program)
    .strict()
    .help()
    .alias('help', 'h')
    .version()
    .wrap(Math.min(120, process.stderr.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      // What yargs finds itself is about the words of the command line; it comes without an error of ours.
      const isOurs = error !== undefined && error.name !== 'YError'
      const sentence = (message ?? '')
        .split('\n')
        .map((line) => line.trim())
        .filter(Boolean)
        .join(' ')
      throw isOurs ? error : new Failure('bad-argument', `${sentence}; --help shows how`)
    })
    .parserConfiguration({ 'duplicate-arguments-array': false })
}

async function run(parser: Argv): Promise<void> {
  fitRuntime()
  try {
    await parser.parseAsync()
  } catch (error) {
    process.exitCode = report(error)
  }
}

/** Tells a person what went wrong, in one sentence, and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode
  const failure = toFailure(error)
  process.stderr.write(`${failure.message}\n`)
  if (failure.code === 'internal')
    process.stderr.write(`${error instanceof Error ? error.stack : ''}\n${errorCodes.internal.means}\n`)
  return failure.exitCode
}
