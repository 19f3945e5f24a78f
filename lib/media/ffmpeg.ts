import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { promisify } from 'node:util'
import ffmpegCommand, { type FfprobeData, type FfprobeStream } from 'fluent-ffmpeg'
import { Failure } from '../base/errors.ts'

/** What ffprobe tells of an input; undefined when it is no media. */
export type Probe = FfprobeData
export type ProbedStream = FfprobeStream

const protocols = ['-protocol_whitelist', 'file,pipe']

export const ffmpegPrograms = ['ffmpeg', 'ffprobe'] as const
export const howToInstallFfmpeg =
  'install it (Debian, Ubuntu: apt-get install ffmpeg; Fedora: dnf install ffmpeg; Arch: pacman -S ffmpeg; macOS: brew install ffmpeg)'

/** A program that hangs is as good as none, ms. */
const answerMs = 10_000

/** Throws `missing-program` with the command that installs ffmpeg, unless it is there. */
export async function requireFfmpeg(): Promise<void> {
  for (const program of ffmpegPrograms) {
    try {
      await promisify(execFile)(program, ['-version'])
    } catch (cause) {
      throw new Failure('missing-program', `${program} is not installed; ${howToInstallFfmpeg}`, { cause })
    }
  }
}

/** The version that a program tells, or undefined when it cannot be run. */
export async function versionOfProgram(program: (typeof ffmpegPrograms)[number]): Promise<string | undefined> {
  const text = await answerOf(program, ['-version'])
  return text === undefined ? undefined : (/version (\S+)/.exec(text)?.[1] ?? 'unknown')
}

/** Names of the encoders that this ffmpeg was built with. */
export async function encodersOfFfmpeg(): Promise<Set<string>> {
  const text = (await answerOf('ffmpeg', ['-hide_banner', '-encoders'])) ?? ''
  return new Set([...text.matchAll(/^ [VAS][.A-Z]{5} (\w+)/gm)].map(([, name = '']) => name))
}

async function answerOf(program: string, args: string[]): Promise<string | undefined> {
  try {
    return (await promisify(execFile)(program, args, { timeout: answerMs })).stdout
  } catch {
    return undefined
  }
}

/** Undefined when ffprobe finds no media in the file. */
export function probe(path: string): Promise<Probe | undefined> {
  return new Promise((done) => {
    ffmpegCommand.ffprobe(inputOf(path), protocols, (error, data) => done(error ? undefined : data))
  })
}

export interface Remux {
  /** Fragmented MP4. Bytes delivered before an error are worthless. */
  output: Readable
  /** Ends ffmpeg at once. */
  kill(): void
}

/** Runs ffmpeg on `path` with `options` for the output; an error of ffmpeg destroys the output with a `media` failure. */
export function remux(path: string, options: string[]): Remux {
  const output = new PassThrough({ highWaterMark: 1024 * 1024 })
  let isKilled = false
  let lastLines = ''
  const command = ffmpegCommand({ source: inputOf(path) })
    .inputOptions([...protocols, '-nostdin'])
    .outputOptions(options)
    .format('mp4')
    .on('stderr', (line: string) => {
      lastLines = `${lastLines}\n${line}`.slice(-2000)
    })
    .on('error', (error: Error) => {
      if (isKilled) return
      output.destroy(
        new Failure('media', `ffmpeg cannot convert ${path}: ${reasonIn(lastLines) ?? error.message}`, {
          cause: error,
        }),
      )
    })
  command.pipe(output, { end: true })
  return {
    output,
    kill() {
      isKilled = true
      command.kill('SIGKILL')
      output.destroy()
    },
  }
}

/** An absolute path that no name can turn into another protocol or an option. */
function inputOf(path: string): string {
  return `file:${resolve(path)}`
}

/** The last line of ffmpeg's log that says what is wrong. */
function reasonIn(log: string): string | undefined {
  const lines = log.split('\n').map((line) => line.trim())
  return lines
    .filter((line) => /error|invalid|could not|cannot|unsupported|not /i.test(line) && line !== 'Conversion failed!')
    .at(-1)
}

/** Makes a film with picture and sound to show things with; ends at once when `signal` aborts. */
export function makeFilm(
  path: string,
  film: { seconds: number; bitsPerSecond: number },
  signal: AbortSignal,
): Promise<void> {
  return requireFfmpeg().then(
    () =>
      new Promise((done, fail) => {
        const command = ffmpegCommand()
          .input(`testsrc2=size=1280x720:rate=25:duration=${film.seconds}`)
          .inputFormat('lavfi')
          .input(`sine=frequency=330:beep_factor=4:duration=${film.seconds}`)
          .inputFormat('lavfi')
          .outputOptions(['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-c:a', 'aac'])
          // A picture that is easy to code would make a small film; the filler keeps the rate.
          .outputOptions([
            '-b:v',
            String(film.bitsPerSecond),
            '-minrate',
            String(film.bitsPerSecond),
            '-maxrate',
            String(film.bitsPerSecond),
          ])
          .outputOptions(['-bufsize', String(film.bitsPerSecond), '-x264-params', 'nal-hrd=cbr'])
          .on('end', () => done())
          .on('error', (error: Error) =>
            fail(
              signal.aborted
                ? signal.reason
                : new Failure('media', `ffmpeg cannot make a film: ${error.message}`, { cause: error }),
            ),
          )
        signal.addEventListener('abort', () => command.kill('SIGKILL'), { once: true })
        command.save(path)
      }),
  )
}
