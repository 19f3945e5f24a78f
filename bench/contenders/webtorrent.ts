import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bench, newFolder, projectPath } from '../bench.ts'
import type { Contender } from '../contender.ts'
import { jobClient, whyNot } from '../job-client.ts'
import type { Program } from '../programs.ts'
import { measure } from '../sample.ts'
import { mib } from '../settings.ts'

export const webtorrentName = 'WebTorrent'
const program = 'webtorrent.mjs'

/** A leecher that knows the seeder's address: no tracker, no DHT, TCP. It verifies and stores, as our relay does. */
export function webtorrent(bench: Bench, file: string): Contender {
  let seeder: { process: Program; port: number } | undefined
  const torrent = join(bench.folder, 'random.torrent')
  return {
    name: webtorrentName,
    missing: () => whyNot(bench, webtorrentName, program),
    async start() {
      const args = [projectPath(`bench/peers/${program}`), 'seeder', file, torrent]
      const started = bench.programs.start('WebTorrent seeder', process.execPath, args)
      seeder = { process: started, port: (await started.json<{ port: number }>()).port }
    },
    async round() {
      if (!seeder) throw new Error('the seeder was not started')
      const folder = await newFolder(bench, 'webtorrent')
      const job = { torrent, folder, peer: `127.0.0.1:${seeder.port}` }
      const leecher = await jobClient(bench, 'WebTorrent leecher', [program, 'leecher'], job)
      const servers = [{ role: 'source', pids: [seeder.process.pid], serves: file }]
      const head = { contender: webtorrentName, temperature: 'cold' } as const
      const sample = await measure(bench, head, servers, [leecher], bench.settings.slow * mib)
      await leecher.stop()
      await rm(folder, { recursive: true, force: true })
      return [sample]
    },
  }
}
