import type { Bench } from './bench.ts'
import { withChildren } from './process-cost.ts'
import type { Program } from './programs.ts'
import type { Client } from './sample.ts'

/**
 * Waits for a line, takes the chunks one after another over one connection, and waits again: the shell that is left then has
 * curl's CPU time as its child's. What comes goes to /dev/null, as with our streamer.
 */
const script = [
  'echo up; read -r go',
  'curl --silent --show-error --fail --output /dev/null --write-out "%{size_download} %{time_total}\\n" "$1"; echo "end $?"',
  'read -r go',
].join('; ')

/** curl as a client of nginx. It does not verify what it gets. */
export async function curlClient(bench: Bench, port: number, chunks: number): Promise<Client> {
  const url = `http://127.0.0.1:${port}/[0-${chunks - 1}]`
  const shell = bench.programs.start('curl', 'sh', ['-c', script, 'sh', url])
  await shell.line()
  return {
    role: 'client',
    hidesMemory: true,
    pids: () => withChildren(shell.pid),
    stop: () => shell.stop(),
    async go() {
      const startedAt = performance.timeOrigin + performance.now()
      shell.send('go')
      const chunkMs: number[] = []
      let bytes = 0
      for (;;) {
        const [first = '', second = ''] = (await shell.line()).split(' ')
        if (first === 'end') {
          if (second !== '0') throw await failureOf(shell, second)
          return { startedAt, endedAt: performance.timeOrigin + performance.now(), bytes, chunkMs }
        }
        bytes += Number(first)
        chunkMs.push(Number(second) * 1000)
      }
    },
  }
}

async function failureOf(shell: Program, code: string): Promise<Error> {
  shell.send('go')
  return shell.line().then(
    () => new Error(`curl ended with ${code}`),
    (error: Error) => error,
  )
}
