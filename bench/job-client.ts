import { type Bench, projectPath } from './bench.ts'
import type { Client, Taken } from './sample.ts'

/** A program of peers/ that prints a line when it is up, takes one job as a line, and answers what it took as a line. */
export async function jobClient(bench: Bench, name: string, args: string[], job: unknown): Promise<Client> {
  const [file = '', ...rest] = args
  const program = bench.programs.start(name, process.execPath, [projectPath(`bench/peers/${file}`), ...rest])
  await program.line()
  return {
    role: 'client',
    pids: () => [program.pid],
    stop: () => program.stop(),
    async go() {
      program.send(JSON.stringify(job))
      return program.json<Taken>()
    },
  }
}

/** Whether a program of peers/ can run here: asked with `check` it says so, or ends with the reason. */
export async function whyNot(bench: Bench, name: string, file: string): Promise<string | undefined> {
  const program = bench.programs.start(name, process.execPath, [projectPath(`bench/peers/${file}`), 'check'])
  try {
    await program.line()
    return undefined
  } catch (error) {
    return (error as Error).message.split('\n').find((line) => /Error/.test(line)) ?? (error as Error).message
  } finally {
    await program.stop()
  }
}
