import { type ChildProcess, spawn } from 'node:child_process'
import { fstatSync, write as writeFd } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { promisify } from 'node:util'
import { errnoOf, Failure } from '../base/errors.ts'

/** Where a stream is written. */
export interface Output {
  /**
   * Resolves when the bytes are written; they are gone afterwards. Throws `closed` when the reader went away, `output-failed` when
   * it cannot be written.
   */
  write(bytes: Uint8Array): Promise<void>
  /** Whether the reader went away. */
  readonly closed: boolean
  /** Cuts what is there to `sizeBytes` and goes on behind it; only a file can. */
  truncate?(sizeBytes: number): Promise<void>
  /** Ends the output; idempotent; waits until all is written, and for a player until it ended. */
  close(): Promise<void>
}

/** A file, made anew or, with `resume`, opened as it is. */
export async function openFileOutput(
  path: string,
  options: { resume: boolean },
): Promise<Output & { sizeBytes: number }> {
  let file: FileHandle
  try {
    // Without O_TRUNC for a resume: what is there is what is continued.
    file = options.resume
      ? await open(path, 'r+').catch((error) => (errnoOf(error) === 'ENOENT' ? open(path, 'w') : Promise.reject(error)))
      : await open(path, 'w')
  } catch (cause) {
    throw new Failure('output-failed', `cannot write to ${path}: ${errnoOf(cause) ?? cause}`, { cause })
  }
  const { size } = await file.stat()
  let at = 0
  let isClosed = false
  return {
    sizeBytes: options.resume ? size : 0,
    closed: false,
    async write(bytes) {
      try {
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at)
          done += bytesWritten
          at += bytesWritten
        }
      } catch (cause) {
        throw new Failure('output-failed', `cannot write to ${path}: ${errnoOf(cause) ?? cause}`, { cause })
      }
    },
    async truncate(sizeBytes) {
      await file.truncate(sizeBytes)
      at = sizeBytes
    },
    async close() {
      if (isClosed) return
      isClosed = true
      await file.close()
    },
  }
}

/** Standard output. Writes to a pipe through process.stdout would hold up the event loop, and with it everything else. */
export function openStdoutOutput(fd = 1): Output {
  const kind = fstatSync(fd)
  return kind.isFIFO() || kind.isSocket()
    ? writableOutput(new Socket({ fd, readable: false, writable: true }))
    : descriptorOutput(fd)
}

/** A player fed through a pipe: vlc, mpv, ffplay, or any command that the shell knows. */
export async function openPlayerOutput(command: string): Promise<Output> {
  const known: Record<string, string[]> = {
    vlc: ['vlc', '--play-and-exit', '-'],
    mpv: ['mpv', '-'],
    ffplay: ['ffplay', '-autoexit', '-i', '-'],
  }
  const [program, ...args] = known[command] ?? ['sh', '-c', command]
  const player = spawn(program ?? 'sh', args, { stdio: ['pipe', 'inherit', 'inherit'] })
  await started(player, command)
  const ended = new Promise<void>((resolve) => player.once('close', () => resolve()))
  const pipe = writableOutput(player.stdin)
  return {
    write: (bytes) => pipe.write(bytes),
    get closed() {
      return pipe.closed || player.exitCode !== null
    },
    async close() {
      await pipe.close()
      await ended
      // What a shell answers for a program that it does not find.
      if (player.exitCode === 127) throw missingPlayer(command, 'not found')
      if (player.exitCode)
        throw new Failure('output-failed', `the player ${command} ended with exit code ${player.exitCode}`)
    },
  }
}

async function started(player: ChildProcess, command: string): Promise<void> {
  try {
    await new Promise((resolve, reject) => {
      player.once('spawn', resolve)
      player.once('error', reject)
    })
  } catch (cause) {
    throw missingPlayer(command, errnoOf(cause) ?? String(cause))
  }
}

function missingPlayer(command: string, why: string): Failure {
  return new Failure(
    'missing-program',
    `cannot start the player ${command} (${why}); install it, or give another with --player`,
  )
}

function writableOutput(stream: Writable): Output {
  let isClosed = false
  let failure: unknown
  let wake = () => {}
  stream.on('error', (error) => {
    isClosed = true
    // A reader that has enough ends the stream; that is no error.
    if (errnoOf(error) !== 'EPIPE' && errnoOf(error) !== 'ECONNRESET') failure = error
    wake()
  })
  stream.on('close', () => {
    isClosed = true
    wake()
  })
  return {
    get closed() {
      return isClosed
    },
    async write(bytes) {
      if (!isClosed) {
        await new Promise<void>((resolve) => {
          wake = resolve
          stream.write(bytes, () => resolve())
        })
      }
      if (failure !== undefined)
        throw new Failure('output-failed', `cannot write to the output: ${errnoOf(failure) ?? failure}`, {
          cause: failure,
        })
      if (isClosed) throw new Failure('closed', 'the reader went away')
    },
    async close() {
      if (isClosed) return
      await new Promise<void>((resolve) => {
        stream.once('close', resolve)
        stream.end(() => stream.destroy())
      })
      isClosed = true
    },
  }
}

const writeTo = promisify(writeFd)

/** A file or terminal that standard output was pointed at. */
function descriptorOutput(fd: number): Output {
  return {
    closed: false,
    async write(bytes) {
      try {
        for (let done = 0; done < bytes.length; )
          done += (await writeTo(fd, bytes, done, bytes.length - done)).bytesWritten
      } catch (cause) {
        throw new Failure('output-failed', `cannot write to standard output: ${errnoOf(cause) ?? cause}`, { cause })
      }
    },
    async close() {},
  }
}

/** Takes everything and keeps nothing. */
export function nullOutput(): Output {
  return { closed: false, async write() {}, async close() {} }
}
