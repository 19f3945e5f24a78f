import type { Sample } from './sample.ts'
import { processOf, totalCpu } from './sample.ts'

/** Measured values by name, a value a round or repeat, in the order they were measured. */
export class Figures {
  readonly #values: Record<string, number[]> = {}

  add(name: string, value: number | undefined): void {
    if (value === undefined) return
    this.#values[name] ??= []
    this.#values[name]?.push(value)
  }

  /** Empty when it was not measured. */
  of(name: string): number[] {
    return this.#values[name] ?? []
  }

  /** Round by round, so that what slows the machine for a while slows both. */
  ratio(name: string, over: string): number[] {
    const below = this.of(over)
    return this.of(name).flatMap((value, round) => {
      const other = below[round]
      return other === undefined ? [] : [value / other]
    })
  }

  addSample(sample: Sample): void {
    const name = sampleName(sample.contender, sample.temperature, sample.streamers)
    this.add(`${name} MB/s`, sample.mbPerSec)
    this.add(`${name} CPU s/GB`, totalCpu(sample))
    this.add(`${name} chunk p50 ms`, sample.chunkMs?.p50)
    this.add(`${name} chunk p99 ms`, sample.chunkMs?.p99)
    for (const { role, cpuSecPerGB, peakMemoryBytes, count } of sample.processes) {
      this.add(`${name} ${role} CPU s/GB`, cpuSecPerGB)
      this.add(`${name} ${role} peak MB`, peakMemoryBytes && peakMemoryBytes / count / 1e6)
    }
    this.add(`${name} stored share`, sample.storedShare)
    const relay = processOf(sample, 'relay')
    // 0 on tmpfs, where nothing goes to a disk.
    if (sample.temperature === 'cold' && relay && relay.writtenBytes > 0)
      this.add(`${name} written over payload`, relay.writtenBytes / (sample.deliveredBytes / sample.streamers))
  }

  toJSON(): Record<string, number[]> {
    return this.#values
  }
}

export function sampleName(contender: string, temperature: Sample['temperature'], streamers: number): string {
  return `${contender} ${temperature} x${streamers}`
}
