import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Clock, systemClock } from '../base/clock.ts'
import { Failure } from '../base/errors.ts'

interface ProgramOptions {
  clock?: Clock
  launcher?: string[]
  env?: Record<string, string>
}

/** A program of ours that runs as a process of its own. */
export class Program {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #clock: Clock
  readonly #ended: Promise<number>
  #errors = ''

  /** `program` is a file of bin/; `launcher` is a command that ends with starting the one behind it. */
  constructor(name: string, program: string, args: string[], options: ProgramOptions = {}) {
    const { clock = systemClock, launcher = [], env = {} } = options
    this.#name = name
    this.#clock = clock
    const path = fileURLToPath(new URL(`../../bin/${program}`, import.meta.url))
    const [command = '', ...rest] = [...launcher, process.execPath, path, ...args]
    this.#child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.#child.stderr?.on('data', (data: Buffer) => {
      this.#errors = (this.#errors + data.toString()).slice(-4000)
    })
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code) => resolve(code ?? 1))
      this.#child.once('error', () => resolve(1))
    })
  }

  /** The first line that the program prints, as JSON. Throws with its last error when it ends without one. */
  async firstLine(): Promise<Record<string, unknown>> {
    const { stdout } = this.#child
    if (!stdout) throw new Failure('internal', `${this.#name} has no output`)
    const line = await new Promise<string | undefined>((resolve) => {
      const lines = createInterface({ input: stdout })
      lines.once('line', resolve)
      lines.once('close', () => resolve(undefined))
    })
    if (line === undefined) throw new Failure('internal', `${this.#name} ended: ${this.#errors.trim()}`)
    return JSON.parse(line) as Record<string, unknown>
  }

  /** Its exit code. */
  get ended(): Promise<number> {
    return this.#ended
  }

  get errors(): string {
    return this.#errors.trim()
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Ends it, at once when it does not end within `graceMs`. */
  async stop(graceMs = 5000): Promise<void> {
    if (this.hasEnded) return
    this.#child.kill('SIGTERM')
    const cancel = this.#clock.after(graceMs, () => this.#child.kill('SIGKILL'))
    await this.#ended
    cancel()
  }
}
