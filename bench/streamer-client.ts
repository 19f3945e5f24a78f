import { type Bench, projectPath } from './bench.ts'
import type { Program } from './programs.ts'
import type { Client, Taken } from './sample.ts'

/** What a streamer process is told to take. */
export interface StreamJob {
  source: string
  name: string
  from?: number
  count?: number
}

export interface StreamResult extends Taken {
  chunks: number
  /** From the word to begin until the first write, ms, and the chunks that it wrote: small ones are written a run at a time. */
  firstChunkMs: number
  firstChunks: number
}

/** A streamer in a process of its own that is up and waits for jobs; see peers/our-streamer.mjs. */
export class StreamerProcess {
  readonly program: Program

  private constructor(program: Program) {
    this.program = program
  }

  static async start(bench: Bench, env: Record<string, string> = {}): Promise<StreamerProcess> {
    const program = bench.programs.start(
      'streamer',
      process.execPath,
      [projectPath('bench/peers/our-streamer.mjs')],
      env,
    )
    await program.line()
    return new StreamerProcess(program)
  }

  async run(job: StreamJob): Promise<StreamResult> {
    this.program.send(JSON.stringify(job))
    return this.program.json<StreamResult>()
  }

  client(job: StreamJob): Client {
    return {
      role: 'streamer',
      pids: () => [this.program.pid],
      go: () => this.run(job),
      stop: () => this.program.stop(),
    }
  }
}

/** `count` streamers, started together. */
export function startStreamers(bench: Bench, count: number, env?: Record<string, string>): Promise<StreamerProcess[]> {
  return Promise.all(Array.from({ length: count }, () => StreamerProcess.start(bench, env)))
}

export async function stopStreamers(streamers: StreamerProcess[]): Promise<void> {
  await Promise.all(streamers.map(({ program }) => program.stop()))
}
