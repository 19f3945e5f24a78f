import { iperf3Name } from './contenders/iperf3.ts'
import { proxyCacheName } from './contenders/nginx-proxy-cache.ts'
import { oursName, unverifiedName } from './contenders/ours.ts'
import { webtorrentName } from './contenders/webtorrent.ts'
import { zerorpcName } from './contenders/zerorpc-chain.ts'
import { type Figures, sampleName } from './figures.ts'
import type { Settings } from './settings.ts'
import { type Summary, summarize } from './statistics.ts'

/** One thing that is wanted of the figures of a run. */
interface Target {
  row: string
  bound: { atLeast: number } | { atMost: number }
  unit: '' | '%' | 'MB' | 's' | 'CPU s/GB' | '/s'
  /** A value a round; empty when a figure that it needs was not measured. */
  values(figures: Figures): number[]
}

export interface TargetResult {
  row: string
  target: string
  unit: string
  result: 'met' | 'not met' | 'not measured'
  measured?: Summary
}

const [warm1, warm8] = [sampleName(oursName, 'warm', 1), sampleName(oursName, 'warm', 8)]
const [cold1, cold8] = [sampleName(oursName, 'cold', 1), sampleName(oursName, 'cold', 8)]

/** The table of the goal; a row of it with two figures is two rows here. The quick run measures the same on less. */
function targetsOf({ memory, children }: Settings): Target[] {
  const long = `${memory.long / 1000} GB stream, 8 streamers`
  const difference = `${memory.long / 1000} GB over ${memory.short / 1000} GB stream, 8 streamers`
  return [
    over('warm relay to 1 streamer, 1 MiB, verified, over iperf3', warm1, sampleName(iperf3Name, 'warm', 1), 0.3),
    over('warm relay to 8 streamers, over nginx proxy_cache warm', warm8, sampleName(proxyCacheName, 'warm', 8), 0.4),
    over(
      'cold source -> relay -> 8 streamers, stored and verified, over nginx proxy_cache cold',
      cold8,
      sampleName(proxyCacheName, 'cold', 8),
      1.2,
    ),
    over('cold over WebTorrent, MB/s', cold1, sampleName(webtorrentName, 'cold', 1), 8),
    {
      row: 'cold over WebTorrent, total CPU a GB',
      bound: { atMost: 0.25 },
      unit: '',
      values: (figures) => figures.ratio(`${cold1} CPU s/GB`, `${sampleName(webtorrentName, 'cold', 1)} CPU s/GB`),
    },
    over('over the npm zerorpc chain, cold', cold1, sampleName(zerorpcName, 'cold', 1), 8),
    over('over the npm zerorpc chain, warm', warm1, sampleName(zerorpcName, 'warm', 1), 5),
    most('relay CPU s a GB, warm', 0.9, 'CPU s/GB', `${warm1} relay CPU s/GB`),
    most('relay CPU s a GB, cold with store and verification', 2, 'CPU s/GB', `${cold1} relay CPU s/GB`),
    verification('cost of verification, warm, MB/s', warm1, 'warm'),
    verification('cost of verification, cold, MB/s', cold1, 'cold'),
    most(`peak memory of relay, ${long}`, 128, 'MB', 'peak MB relay long'),
    most(`peak memory of streamer, ${long}`, 128, 'MB', 'peak MB streamer long'),
    more(`peak memory of relay, ${difference}`, 5, 'MB', 'peak MB relay long', 'peak MB relay short'),
    more(`peak memory of streamer, ${difference}`, 5, 'MB', 'peak MB streamer long', 'peak MB streamer short'),
    most('bytes written to disk over payload', 1.02, '', `${cold1} written over payload`),
    {
      row: '5 kB chunks by ranges, chunks a second to one streamer',
      bound: { atLeast: 100_000 },
      unit: '/s',
      values: (figures) => figures.of('5 kB chunks a second'),
    },
    most('source copies: 8 cold relays under one master, all streaming at once', 1.05, '', 'source copies 8 relays'),
    share('control bytes over payload, 1 MiB chunks', 0.5, 'control bytes share 1 MiB'),
    share('control bytes over payload, 5 kB chunks', 2, 'control bytes share 5 kB'),
    growth(
      'growth: chunk 100,000 of a stream over chunk 1,000, time a chunk',
      1.05,
      'ms a chunk late',
      'ms a chunk early',
    ),
    more(
      'growth: chunk 100,000 of a stream over chunk 1,000, peak memory of streamer',
      5,
      'MB',
      'streamer peak MB late',
      'streamer peak MB early',
    ),
    growth(
      `growth: ${children.many} children of one master over ${children.few}, CPU a delivered GB`,
      1.15,
      'CPU s/GB many children',
      'CPU s/GB few children',
    ),
    growth(
      'time to first chunk through two cold hops, over one hop',
      2.2,
      'first chunk ms two hops',
      'first chunk ms one hop',
    ),
    most('start of a node with a 200,000-chunk store', 2, 's', 'start s full store'),
    more(
      'start of a node with a 200,000-chunk store, memory over an empty store',
      5,
      'MB',
      'start peak MB full store',
      'start peak MB empty store',
    ),
  ]
}

export function judge(figures: Figures, settings: Settings): TargetResult[] {
  return targetsOf(settings).map(({ row, bound, unit, values }) => {
    const target = 'atLeast' in bound ? `>= ${bound.atLeast}` : `<= ${bound.atMost}`
    const measured = values(figures)
    if (measured.length === 0) return { row, target, unit, result: 'not measured' }
    const summary = summarize(measured)
    const isMet = 'atLeast' in bound ? summary.median >= bound.atLeast : summary.median <= bound.atMost
    return { row, target, unit, result: isMet ? 'met' : 'not met', measured: summary }
  })
}

function over(row: string, ours: string, other: string, atLeast: number): Target {
  return { row, bound: { atLeast }, unit: '', values: (figures) => figures.ratio(`${ours} MB/s`, `${other} MB/s`) }
}

function most(row: string, atMost: number, unit: Target['unit'], name: string): Target {
  return { row, bound: { atMost }, unit, values: (figures) => figures.of(name) }
}

function growth(row: string, atMost: number, name: string, base: string): Target {
  return { row, bound: { atMost }, unit: '', values: (figures) => figures.ratio(name, base) }
}

/** How much more, in the unit itself. */
function more(row: string, atMost: number, unit: Target['unit'], name: string, base: string): Target {
  const values = (figures: Figures) =>
    figures.of(name).flatMap((value, at) => {
      const below = figures.of(base)[at]
      return below === undefined ? [] : [value - below]
    })
  return { row, bound: { atMost }, unit, values }
}

function share(row: string, atMost: number, name: string): Target {
  return { row, bound: { atMost }, unit: '%', values: (figures) => figures.of(name).map((value) => value * 100) }
}

function verification(row: string, verified: string, temperature: 'cold' | 'warm'): Target {
  const unverified = sampleName(unverifiedName, temperature, 1)
  const values = (figures: Figures) =>
    figures.ratio(`${verified} MB/s`, `${unverified} MB/s`).map((ratio) => (1 - ratio) * 100)
  return { row, bound: { atMost: 12 }, unit: '%', values }
}
