import { spawnSync } from 'node:child_process'
import type { Bench } from '../bench.ts'
import type { Contender } from '../contender.ts'
import { readCost } from '../process-cost.ts'
import { answers, freePort } from '../programs.ts'
import type { Sample } from '../sample.ts'

export const iperf3Name = 'iperf3'

interface Report {
  end: { sum_received: { bytes: number; seconds: number } }
}

/** What one TCP connection carries on this machine when nothing is done with the bytes: the limit. */
export function iperf3(bench: Bench): Contender {
  return {
    name: iperf3Name,
    missing: () => (spawnSync('iperf3', ['--version']).status === 0 ? undefined : 'iperf3 is not installed'),
    start: async () => {},
    round: async () => [await transfer(bench)],
  }
}

async function transfer({ programs, settings }: Bench): Promise<Sample> {
  const port = await freePort()
  const server = programs.start('iperf3 server', 'iperf3', ['-s', '-B', '127.0.0.1', '-p', String(port)])
  await answers(server, port)
  const before = readCost([server.pid])
  const client = programs.start('iperf3', 'sh', [
    '-c',
    'iperf3 -c 127.0.0.1 -p "$1" -t "$2" -J | tr -d "\\n"; echo; read -r go',
    'sh',
    String(port),
    String(settings.limitSeconds),
  ])
  const { bytes, seconds } = (await client.json<Report>()).end.sum_received
  const figures = (role: string, cpuSeconds: number) => ({
    role,
    count: 1,
    cpuSecPerGB: cpuSeconds / (bytes / 1e9),
    writtenBytes: 0,
  })
  const [served, took] = [readCost([server.pid]), readCost([client.pid])]
  const sample: Sample = {
    contender: iperf3Name,
    temperature: 'warm',
    streamers: 1,
    deliveredBytes: bytes,
    seconds,
    mbPerSec: bytes / 1e6 / seconds,
    processes: [figures('server', served.cpuSeconds - before.cpuSeconds), figures('client', took.cpuSeconds)],
  }
  await Promise.all([client.stop(), server.stop()])
  return sample
}
