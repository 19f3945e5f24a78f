import { table } from '../lib/cli/ask-node.ts'
import { sampleName } from './figures.ts'
import type { Sample } from './sample.ts'
import { processOf, totalCpu } from './sample.ts'
import { median, type Summary, summarize } from './statistics.ts'
import type { TargetResult } from './targets.ts'

/** A row a contender and kind of transfer, medians of all rounds. */
export function showSamples(samples: Sample[]): string {
  const groups = new Map<string, Sample[]>()
  for (const sample of samples) {
    const key = sampleName(sample.contender, sample.temperature, sample.streamers)
    groups.set(key, [...(groups.get(key) ?? []), sample])
  }
  const rows = [...groups.values()].map((group) => {
    const [first] = group
    const middle = (value: (sample: Sample) => number | undefined, digits: number) => {
      const values = group.flatMap((sample) => value(sample) ?? [])
      return values.length === 0 ? '-' : median(values).toFixed(digits)
    }
    const role = (name: string) => middle((sample) => processOf(sample, name)?.cpuSecPerGB, 2)
    const peak = (name: string) => middle((sample) => peakMB(sample, name), 0)
    const client = first && processOf(first, 'streamer') ? 'streamer' : 'client'
    const front =
      first && processOf(first, 'relay') ? 'relay' : first && processOf(first, 'server') ? 'server' : 'source'
    const back = front === 'relay' ? role('source') : '-'
    return [
      first?.contender ?? '',
      first?.temperature ?? '',
      String(first?.streamers ?? ''),
      showSummary(summarize(group.map((sample) => sample.mbPerSec)), 0),
      middle(totalCpu, 2),
      back,
      role(front),
      role(client),
      peak(front),
      peak(client),
      middle((sample) => sample.chunkMs?.p50, 2),
      middle((sample) => sample.chunkMs?.p99, 2),
    ]
  })
  const head = [
    'contender',
    'cache',
    'clients',
    'MB/s (spread)',
    'CPU s/GB',
    'source',
    'relay',
    'client',
    'relay MB',
    'client MB',
    'p50 ms',
    'p99 ms',
  ]
  return table(head, rows)
}

/** A relay that kept less than all did less work than its figures seem to say. */
export function showUnstored(samples: Sample[]): string {
  return samples
    .filter(({ storedShare = 1 }) => storedShare < 1)
    .map((sample) => {
      const name = sampleName(sample.contender, sample.temperature, sample.streamers)
      return `${name}: in one round the relay stored only ${((sample.storedShare ?? 0) * 100).toFixed(1)} %\n`
    })
    .join('')
}

export function showTargets(results: TargetResult[]): string {
  return table(['figure', 'target', 'measured (spread)', ''], results.map(targetCells))
}

/** The same for docs/performance.md. */
export function targetsAsMarkdown(results: TargetResult[]): string {
  const lines = results.map((result) => `| ${targetCells(result).join(' | ')} |`)
  return ['| figure | target | measured (spread) | |', '| --- | --- | --- | --- |', ...lines].join('\n')
}

function targetCells({ row, target, unit, measured, result }: TargetResult): string[] {
  const suffix = unit === '' ? '' : ` ${unit}`
  return [row, `${target}${suffix}`, measured ? `${showSummary(measured)}${suffix}` : '-', result]
}

function showSummary({ median, least, greatest }: Summary, digits = digitsFor(median)): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)} .. ${greatest.toFixed(digits)})`
}

function digitsFor(value: number): number {
  return Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3
}

function peakMB(sample: Sample, role: string): number | undefined {
  const found = processOf(sample, role)
  return found?.peakMemoryBytes === undefined ? undefined : found.peakMemoryBytes / found.count / 1e6
}
