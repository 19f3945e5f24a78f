import { type ChildProcess, spawn } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'

/** A process that was started here: lines out, lines in, and its end. */
export class Program {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = []
  readonly #ended: Promise<void>
  #hasEnded = false
  #errors = ''

  constructor(name: string, command: string, args: string[], env: Record<string, string> = {}) {
    this.#name = name
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.#child.stderr?.on('data', (data: Buffer) => {
      this.#errors = (this.#errors + data.toString()).slice(-4000)
    })
    // A program that ended shows in `line`, not here.
    this.#child.stdin?.on('error', () => {})
    if (this.#child.stdout) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        const next = this.#waiting.shift()
        if (next) next.resolve(line)
        else this.#lines.push(line)
      })
    }
    this.#ended = new Promise((resolve) => {
      const end = (error?: unknown) => {
        if (error instanceof Error) this.#errors += error.message
        this.#hasEnded = true
        for (const { reject } of this.#waiting.splice(0)) reject(this.#failure())
        resolve()
      }
      this.#child.once('close', end)
      this.#child.once('error', end)
    })
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw this.#failure()
    return this.#child.pid
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  get ended(): Promise<void> {
    return this.#ended
  }

  /** The next line that it prints. Throws with its last words when it ends without one. */
  async line(): Promise<string> {
    const line = this.#lines.shift()
    if (line !== undefined) return line
    if (this.#hasEnded) throw this.#failure()
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  async json<T>(): Promise<T> {
    return JSON.parse(await this.line()) as T
  }

  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** Ends it by its id, at once when it does not end within 5 s. */
  async stop(): Promise<void> {
    if (this.#hasEnded) return
    this.#child.kill('SIGTERM')
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), 5000)
    await this.#ended
    clearTimeout(limit)
  }

  /** For the very end, when nothing can be waited for. */
  kill(): void {
    if (!this.#hasEnded) this.#child.kill('SIGTERM')
  }

  #failure(): Error {
    return new Error(`${this.#name} ended: ${this.#errors.trim() || 'it said nothing'}`)
  }
}

/** Every process of a run; `close` ends those that are left. */
export class Programs {
  readonly #running = new Set<Program>()

  constructor() {
    process.once('exit', () => {
      for (const program of this.#running) program.kill()
    })
  }

  start(name: string, command: string, args: string[], env?: Record<string, string>): Program {
    const program = new Program(name, command, args, env)
    this.#running.add(program)
    void program.ended.then(() => this.#running.delete(program))
    return program
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((program) => program.stop()))
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0))
    })
  })
}

/** Waits until a port answers, at most 10 s; throws with the program's last words when it ended. */
export async function answers(program: Program, port: number): Promise<void> {
  for (const until = performance.now() + 10_000; performance.now() < until; await pause(20)) {
    if (program.hasEnded) await program.line()
    if (await accepts(port)) return
  }
  throw new Error(`nothing answers on port ${port}`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => socket.destroy())
    socket.once('connect', () => socket.destroy())
  })
}
