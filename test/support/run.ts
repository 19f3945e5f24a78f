import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

export interface Ended {
  code: number | null
  stdout: Buffer
  stderr: string
}

export interface RunOptions {
  input?: Readable
  env?: Record<string, string>
  /** Runs beside the program, and may signal it. */
  meanwhile?(program: { signal(name: NodeJS.Signals): void; stdout(): Buffer; stderr(): string }): Promise<void>
}

/** Runs a program of bin/ to its end. */
export async function run(program: string, args: string[], options: RunOptions = {}): Promise<Ended> {
  const path = fileURLToPath(new URL(`../../bin/${program}`, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], {
    env: { ...process.env, ...options.env },
    stdio: [options.input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  })
  if (options.input && child.stdin) {
    options.input.pipe(child.stdin)
    // A program that ends before it read everything is no fault of the test.
    child.stdin.on('error', () => options.input?.destroy())
  }
  const stdout: Buffer[] = []
  let stderr = ''
  child.stdout?.on('data', (data: Buffer) => stdout.push(data))
  child.stderr?.on('data', (data: Buffer) => {
    stderr += data.toString()
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const beside = {
    signal: (name: NodeJS.Signals) => void child.kill(name),
    stdout: () => Buffer.concat(stdout),
    stderr: () => stderr,
  }
  await options.meanwhile?.(beside)
  return { code: await ended, stdout: Buffer.concat(stdout), stderr }
}
