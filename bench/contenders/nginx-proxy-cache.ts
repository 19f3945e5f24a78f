import { rm } from 'node:fs/promises'
import type { Bench } from '../bench.ts'
import type { Contender } from '../contender.ts'
import { curlClient } from '../curl-client.ts'
import { type NginxProcess, nginxMissing, startNginx } from '../nginx.ts'
import { measure, type Sample } from '../sample.ts'
import { mib } from '../settings.ts'
import { startStatic } from './nginx-static.ts'

export const proxyCacheName = 'nginx proxy_cache'

/** nginx as a relay in front of nginx: it stores chunks, and does not verify them. */
export function nginxProxyCache(bench: Bench, chunkFolder: string): Contender {
  let origin: NginxProcess | undefined
  const coldAndWarm = async (count: number, chunks: number): Promise<Sample[]> => {
    if (!origin) throw new Error('the origin was not started')
    const relay = await startProxyCache(bench, origin.port)
    const servers = [
      { role: 'source', pids: origin.pids, serves: chunkFolder },
      { role: 'relay', pids: relay.pids },
    ]
    const samples: Sample[] = []
    for (const temperature of ['cold', 'warm'] as const) {
      const clients = await Promise.all(Array.from({ length: count }, () => curlClient(bench, relay.port, chunks)))
      samples.push(await measure(bench, { contender: proxyCacheName, temperature }, servers, clients, chunks * mib))
      await Promise.all(clients.map((client) => client.stop()))
    }
    await relay.program.stop()
    await rm(relay.folder, { recursive: true, force: true })
    return samples
  }
  return {
    name: proxyCacheName,
    missing: nginxMissing,
    start: async () => {
      origin = await startStatic(bench, chunkFolder)
    },
    round: async () => [
      ...(await coldAndWarm(1, bench.settings.alone)),
      ...(await coldAndWarm(8, bench.settings.together)),
    ],
  }
}

/**
 * proxy_cache_lock stays off, as is nginx's default: with it, those who wait look every 500 ms whether the chunk is there,
 * and eight clients are slower than without.
 */
function startProxyCache(bench: Bench, originPort: number): Promise<NginxProcess> {
  return startNginx(
    bench,
    'nginx proxy_cache',
    (port, folder) => `
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=chunks:32m max_size=100g inactive=1h use_temp_path=off;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache chunks;
      proxy_cache_valid 200 1h;
    }
  }`,
  )
}
