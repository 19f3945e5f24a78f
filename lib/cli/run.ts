import { constants } from 'node:os'
import yargs, { type Argv, type CommandModule } from 'yargs'
import { errorCodes, Failure, toFailure } from '../base/errors.ts'

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
export async function runFrontDoor(commands: CommandModule[]): Promise<void> {
  await run(
    commands
      .reduce((parser, command) => parser.command(command), base().scriptName('peerstreamer'))
      .usage('$0 COMMAND\n\nCarries video from one source to any number of screens through a tree of relays.')
      .example('$0 split -d video_data -s film.mp4', 'publish a film')
      .example('$0 node --name source --videodatabase video_data', 'serve it')
      .example('$0 node --name a --port 8001 --chunkdirectory chunks/a --master tcp://127.0.0.1:7999', 'relay it')
      .example('$0 stream --source tcp://127.0.0.1:8001/film --player vlc', 'watch it')
      .example('$0 demo', 'see all of it work on this machine')
      .demandCommand(1, 'Name a command; --help shows them all.')
      .completion('completion', 'Print a script for shell completion; source <(peerstreamer completion)'),
  )
}

/** A program of its own that is one command: `bin/node.js`. */
export async function runCommand(name: string, { builder, handler, describe }: CommandModule): Promise<void> {
  const parser = base().scriptName(name)
  await run(parser.command({ command: '$0', describe: describe ?? '', builder: builder ?? {}, handler }))
}

function base(): Argv {
  return yargs(process.argv.slice(2))
    .strict()
    .help()
    .alias('help', 'h')
    .version()
    .wrap(Math.min(120, process.stderr.columns ?? 100))
    .exitProcess(false)
    .fail(false)
    .parserConfiguration({ 'duplicate-arguments-array': false })
}

async function run(parser: Argv): Promise<void> {
  try {
    await parser.parseAsync()
  } catch (error) {
    process.exitCode = report(error)
  }
}

/** Tells a person what went wrong, in one sentence, and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode
  // What yargs throws is about the words of the command line.
  const isUsage = error instanceof Error && error.name === 'YError'
  const failure = isUsage
    ? new Failure('bad-argument', `${error.message.split('\n')[0]}; --help shows the options`)
    : toFailure(error)
  process.stderr.write(`${failure.message}\n`)
  if (failure.code === 'internal')
    process.stderr.write(`${error instanceof Error ? error.stack : ''}\n${errorCodes.internal.means}\n`)
  return failure.exitCode
}
