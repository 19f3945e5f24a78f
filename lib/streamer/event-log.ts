import { type FileHandle, open, readFile } from 'node:fs/promises'
import { errnoOf, Failure } from '../base/errors.ts'

/** One chunk on its way to the output. Times are monotonic ms since the streamer started. */
export interface ChunkEvent {
  index: number
  /** BLAKE3-256 of the bytes that are handed to the output, hex. */
  digest: string
  /** When the run that holds it was asked for. */
  asked: number
  /** When it is handed to the output. */
  done: number
  /** The address that it came from. */
  from: string
}

/**
 * What a streamer did, one JSON line a chunk, for a checker to judge. A line is written just before the output gets the chunk, so
 * a log is never behind its output; `continueAt` cuts it to where a resumed output goes on.
 */
export class EventLog {
  readonly #path: string
  readonly #file: FileHandle

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** Makes the file anew; with `resume` what is there is kept. Throws `output-failed`. */
  static async open(path: string, options: { resume: boolean }): Promise<EventLog> {
    try {
      return new EventLog(path, await open(path, options.resume ? 'a' : 'w'))
    } catch (cause) {
      throw cannotWrite(path, cause)
    }
  }

  /** Drops the lines of chunk `index` and those after it: they are written again. */
  async continueAt(index: number): Promise<void> {
    const lines = (await readFile(this.#path, 'utf8')).split('\n').slice(0, -1)
    const after = lines.findIndex((line) => (JSON.parse(line) as ChunkEvent).index >= index)
    const kept = after === -1 ? lines : lines.slice(0, after)
    await this.#file.truncate(kept.reduce((bytes, line) => bytes + line.length + 1, 0))
  }

  async append(events: ChunkEvent[]): Promise<void> {
    try {
      await this.#file.appendFile(events.map((event) => `${JSON.stringify(event)}\n`).join(''))
    } catch (cause) {
      throw cannotWrite(this.#path, cause)
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

function cannotWrite(path: string, cause: unknown): Failure {
  return new Failure('output-failed', `cannot write the event log ${path}: ${errnoOf(cause) ?? cause}`, { cause })
}
