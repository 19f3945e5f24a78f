import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** What processes have used since they started. */
export interface Cost {
  /** User and system time of all threads, and of children that ended. */
  cpuSeconds: number
  /** Sum of the peaks; memory that processes share counts in each. */
  peakMemoryBytes: number
  /** Bytes that were given to the disk (pages made dirty); 0 on tmpfs. */
  writtenBytes: number
}

export function readCost(pids: number[]): Cost {
  const sum = { cpuSeconds: 0, peakMemoryBytes: 0, writtenBytes: 0 }
  for (const pid of pids) {
    // A worker that ended counts as a child of its parent.
    if (!existsSync(`/proc/${pid}`)) continue
    sum.cpuSeconds += cpuSeconds(pid)
    sum.peakMemoryBytes += peakMemoryBytes(pid)
    sum.writtenBytes += writtenBytes(pid)
  }
  return sum
}

/** A process and its children, such as the workers of nginx. */
export function withChildren(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return [pid, ...children.split(' ').filter(Boolean).map(Number)]
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Fields 14 to 17 of proc(5): utime, stime, cutime, cstime. The first two are sums over all threads. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field, the name, may hold blanks and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond
}

function peakMemoryBytes(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1] ?? 0) * 1024
}

function writtenBytes(pid: number): number {
  const match = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))
  return Number(match?.[1] ?? 0)
}
