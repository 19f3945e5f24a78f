import type { Bench } from '../bench.ts'
import type { Contender } from '../contender.ts'
import { curlClient } from '../curl-client.ts'
import { type NginxProcess, nginxMissing, startNginx } from '../nginx.ts'
import { measure, type Sample } from '../sample.ts'
import { mib } from '../settings.ts'

const name = 'nginx static'

/** nginx that serves chunk files: no relay, no verification. */
export function nginxStatic(bench: Bench, chunkFolder: string): Contender {
  let server: NginxProcess | undefined
  const transfer = async (count: number, chunks: number): Promise<Sample> => {
    if (!server) throw new Error('nginx was not started')
    const { port, pids } = server
    const clients = await Promise.all(Array.from({ length: count }, () => curlClient(bench, port, chunks)))
    const sample = await measure(
      bench,
      { contender: name, temperature: 'warm' },
      [{ role: 'server', pids, serves: chunkFolder }],
      clients,
      chunks * mib,
    )
    await Promise.all(clients.map((client) => client.stop()))
    return sample
  }
  return {
    name,
    missing: nginxMissing,
    start: async () => {
      server = await startStatic(bench, chunkFolder)
    },
    round: async () => [await transfer(1, bench.settings.alone), await transfer(8, bench.settings.together)],
  }
}

/** Also the origin behind proxy_cache. */
export function startStatic(bench: Bench, chunkFolder: string): Promise<NginxProcess> {
  return startNginx(bench, 'nginx static', (port) => `server { listen 127.0.0.1:${port}; root ${chunkFolder}; }`)
}
