import { createHash } from 'node:crypto'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Program } from '../../lib/cli/child-process.ts'
import type { ChunkEvent } from '../../lib/streamer/event-log.ts'
import { figure, note } from './figures.ts'
import { expectPromise, judge, readEvents, type Verdict } from './judge.ts'
import type { Published } from './network.ts'
import type { LaunchOptions, TestPrograms } from './programs.ts'
import { until } from './until.ts'

export interface ViewerOptions extends LaunchOptions {
  address: string
  film: string
  /** For its output and its log. */
  folder: string
  /** Tells viewers of one folder apart. */
  name?: string
  intervalMs: number
}

/** A streamer in a process of its own: it can be killed, started again, and is judged by its event log. */
export class Viewer {
  readonly #programs: TestPrograms
  readonly #options: ViewerOptions
  readonly #output: string
  readonly #log: string
  #program: Program

  constructor(programs: TestPrograms, options: ViewerOptions) {
    const { folder, film, name = 'viewer' } = options
    this.#programs = programs
    this.#options = options
    this.#output = join(folder, `${name}-${film}.bin`)
    this.#log = join(folder, `${name}-${film}.jsonl`)
    this.#program = this.#start([])
  }

  signal(signal: NodeJS.Signals): void {
    this.#program.signal(signal)
  }

  /** Waits until it has ended, by itself or killed. */
  async ended(): Promise<number> {
    return this.#program.ended
  }

  /** Starts it again behind its last whole chunk. */
  resume(): void {
    this.#program = this.#start(['--resume'])
  }

  /** Resolves when chunk `index` was delivered, or when the streamer ended. */
  async reached(index: number, limitMs = 30_000): Promise<void> {
    await until(
      `chunk ${index} at a streamer`,
      () => this.lastIndex(),
      (last) => last >= index || this.#program.hasEnded,
      limitMs,
    )
  }

  /** Waits for its end; its exit code, its log and its output must be right. */
  async verdict(film: Published, what: string, mostStallMs?: number): Promise<Verdict> {
    const code = await this.#program.ended
    expect(this.#program.errors, what).to.equal('')
    expect(code, what).to.equal(0)
    const verdict = judge(await readEvents(this.#log), film.chunks)
    expectPromise(verdict, what, mostStallMs)
    const sha256 = createHash('sha256').update(await readFile(this.#output))
    expect(sha256.digest('hex'), `${what}: the output`).to.equal(film.sha256)
    return verdict
  }

  /** Longest time between two chunks from `first` on, ms. */
  async longestGapFrom(first: number): Promise<number> {
    const late = (await readEvents(this.#log)).filter(({ index }) => index >= first)
    return judge(late, []).longestGapMs
  }

  #start(more: string[]): Program {
    const { address, film, intervalMs } = this.#options
    return this.#programs.streamer(
      [
        ...['--source', address, '-f', film, '--interval', String(intervalMs)],
        ...['-o', this.#output, '--eventlog', this.#log, ...more],
      ],
      this.#options,
    )
  }

  /** The chunk delivered last; -1 before the first. */
  async lastIndex(): Promise<number> {
    const size = await stat(this.#log).then(
      (found) => found.size,
      () => 0,
    )
    if (size === 0) return -1
    const file = await open(this.#log)
    const tail = Buffer.alloc(Math.min(size, 600))
    await file.read(tail, 0, tail.length, size - tail.length)
    await file.close()
    const line = tail.toString().split('\n').slice(0, -1).at(-1)
    return line?.startsWith('{') ? (JSON.parse(line) as ChunkEvent).index : -1
  }
}

/** Chunks that some viewers lost and so on, together, and the longest stall of any. */
export function sumOf(verdicts: Verdict[]): { lost: number; repeated: number; wrong: number; worstStallMs: number } {
  const sum = (key: 'lost' | 'repeated' | 'wrong') => verdicts.reduce((all, verdict) => all + verdict[key].length, 0)
  const worstStallMs = Math.max(...verdicts.map((verdict) => verdict.longestGapMs))
  return { lost: sum('lost'), repeated: sum('repeated'), wrong: sum('wrong'), worstStallMs }
}

/** Notes for the report what the viewers of some faults saw. */
export function noteVerdicts(what: Parameters<typeof note>[0]['what'], count: number, verdicts: Verdict[]): void {
  note({ what, count, ...sumOf(verdicts) })
}

/** `total` faults in rounds of at most `most`. */
export function rounds(everyRun: number, full: number, most: number): number[] {
  const total = figure(everyRun, full)
  return Array.from({ length: Math.ceil(total / most) }, (_, i) => Math.min(most, total - i * most))
}
