import { readFileSync } from 'node:fs'

/**
 * The most memory that this process ever had in RAM, bytes. From the kernel's high-water mark; `resourceUsage().maxRSS`
 * also counts the process that started this one, before it became this program.
 */
export function peakMemoryBytes(): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
    if (match) return Number(match[1]) * 1024
  } catch {
    // No /proc: macOS, Windows.
  }
  return process.resourceUsage().maxRSS * 1024
}
