// `npm run bench`: measures peerstreamer beside others on this machine. docs/performance.md says how, and how to read it.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bench, projectPath } from './bench.ts'
import type { Contender } from './contender.ts'
import { iperf3 } from './contenders/iperf3.ts'
import { nginxProxyCache } from './contenders/nginx-proxy-cache.ts'
import { nginxStatic } from './contenders/nginx-static.ts'
import { ours, oursUnverified } from './contenders/ours.ts'
import { webtorrent } from './contenders/webtorrent.ts'
import { zerorpcChain } from './contenders/zerorpc-chain.ts'
import { Figures } from './figures.ts'
import { describeMachine, describeVersions } from './machine.ts'
import { type Material, makeMaterial } from './material.ts'
import { measureChildren } from './measurements/children.ts'
import { measureControlBytes } from './measurements/control-bytes.ts'
import { measureFirstChunk } from './measurements/first-chunk.ts'
import { measurePeakMemory } from './measurements/peak-memory.ts'
import { measureSmallChunks } from './measurements/small-chunks.ts'
import { measureStoreStart } from './measurements/store-start.ts'
import { type NodeProcess, startSource } from './our-nodes.ts'
import { Programs } from './programs.ts'
import { showSamples, showTargets, showUnstored, targetsAsMarkdown } from './report.ts'
import type { Sample } from './sample.ts'
import { fullRun, quickRun } from './settings.ts'
import { summarize } from './statistics.ts'
import { judge, type TargetResult } from './targets.ts'
import { TouchedMemory } from './touch-memory.ts'

const startedAt = performance.now()
const settings = process.argv.includes('--quick') ? quickRun : fullRun
const folder = await mkdtemp(join(tmpdir(), 'peerstreamer-bench-'))
const memory = new TouchedMemory({ isWanted: settings.touchesMemory })
const bench: Bench = { settings, programs: new Programs(), folder, memory }
let isStopped = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    isStopped = true
    void cleanUp().then(() => process.exit(130))
  })
}

try {
  await run()
} catch (error) {
  if (!isStopped) {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
    process.exitCode = 1
  }
} finally {
  await cleanUp()
}

async function cleanUp(): Promise<void> {
  await bench.programs.close()
  await rm(bench.folder, { recursive: true, force: true })
}

async function run(): Promise<void> {
  if (settings.touchesMemory) say('touching free memory, which is slow the first time')
  await memory.fill()
  say('publishing what is to be transferred')
  const material = await makeMaterial(bench)
  const source = await startSource(bench, material.videoDatabase)

  const { present, missing } = await whoIsHere(contendersOf(material, source))
  for (const contender of present) await contender.start()
  const figures = new Figures()
  const samples: Sample[] = []
  for (let round = 0; round < settings.rounds; round++) {
    // Another one begins each round.
    for (const contender of [...present.slice(round % present.length), ...present.slice(0, round % present.length)]) {
      say(`round ${round + 1} of ${settings.rounds}: ${contender.name}`)
      samples.push(...(await contender.round()))
    }
  }
  for (const sample of samples) figures.addSample(sample)
  await measureTheRest(material, source, figures)

  const results = judge(figures, settings)
  process.stdout.write(`\n${showSamples(samples)}${showUnstored(samples)}\n${showTargets(results)}`)
  for (const { name, reason } of missing) process.stdout.write(`\nleft out: ${name}: ${reason}`)
  if (settings.isQuick)
    process.stdout.write('\na quick run: it measures less, and for less long, than the targets are meant for\n')
  await keep({ missing, samples, figures, results })
}

function contendersOf({ chunks, file, slowFile, videoDatabase }: Material, source: NodeProcess): Contender[] {
  return [
    iperf3(bench),
    nginxStatic(bench, chunks),
    nginxProxyCache(bench, chunks),
    ours(bench, { node: source, videoDatabase }),
    oursUnverified(bench, { node: source, videoDatabase }),
    webtorrent(bench, slowFile),
    zerorpcChain(bench, file),
  ]
}

/** Whoever cannot be measured is named, and left out. */
async function whoIsHere(contenders: Contender[]) {
  const present: Contender[] = []
  const missing: { name: string; reason: string }[] = []
  for (const contender of contenders) {
    const reason = await contender.missing()
    if (reason === undefined) present.push(contender)
    else missing.push({ name: contender.name, reason })
  }
  return { present, missing }
}

async function measureTheRest({ videoDatabase }: Material, source: NodeProcess, figures: Figures): Promise<void> {
  say('many relays under one master')
  await measureChildren(bench, videoDatabase, figures)
  // Here no CPU is compared, and a store should find the memory that it would find anywhere.
  memory.release()
  say('control bytes')
  await measureControlBytes(bench, source, figures)
  say('small chunks, and growth along a stream')
  await measureSmallChunks(bench, source, figures)
  say('time to the first chunk')
  await measureFirstChunk(bench, source, figures)
  say('start with a large store')
  await measureStoreStart(bench, source, figures)
  say('peak memory')
  await measurePeakMemory(bench, source, figures)
}

async function keep(found: {
  missing: { name: string; reason: string }[]
  samples: Sample[]
  figures: Figures
  results: TargetResult[]
}): Promise<void> {
  const values = Object.entries(found.figures.toJSON())
  const report = {
    measuredAt: new Date().toISOString(),
    tookSeconds: Math.round((performance.now() - startedAt) / 1000),
    machine: describeMachine(folder),
    versions: describeVersions(),
    settings,
    leftOut: found.missing,
    targets: found.results,
    figures: Object.fromEntries(values.map(([name, all]) => [name, { ...summarize(all), values: all }])),
    samples: found.samples,
  }
  await mkdir(projectPath('bench/results'), { recursive: true })
  await writeFile(projectPath('bench/results/latest.json'), `${JSON.stringify(report, null, 2)}\n`)
  if (!settings.isQuick) await putIntoDocs(targetsAsMarkdown(found.results), report.measuredAt, report.versions)
  say('written to bench/results/latest.json')
}

/** Replaces the table of docs/performance.md by that of this run. */
async function putIntoDocs(markdown: string, measuredAt: string, versions: Record<string, string>): Promise<void> {
  const path = projectPath('docs/performance.md')
  const [begin, end] = ['<!-- table of the last full run -->', '<!-- end of the table -->']
  const text = await readFile(path, 'utf8')
  const [before, after] = [text.split(begin)[0], text.split(end)[1]]
  if (before === undefined || after === undefined) throw new Error(`${path} has no place for the table`)
  const head = `Measured on ${measuredAt.slice(0, 10)}, peerstreamer ${versions.peerstreamer}, Node ${versions.node}.`
  await writeFile(path, `${before}${begin}\n\n${head}\n\n${markdown}\n\n${end}${after}`)
}

function say(sentence: string): void {
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${sentence}\n`)
}
