import { Failure } from './errors.ts'

const sizeUnits: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/** Bytes from `1m`, `250k`, `10g` or a plain number, units as split(1). `what` names the option in the error. */
export function parseSize(text: string, what: string): number {
  const match = /^(\d{1,15})([kmg]?)$/i.exec(text.trim())
  const bytes = match ? Number(match[1]) * (sizeUnits[(match[2] ?? '').toLowerCase()] ?? 1) : 0
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new Failure('bad-argument', `expected ${what} to be a size such as 1m, 250k, 5k or 4096, got "${text}"`)
  }
  return bytes
}

/** Milliseconds from `4s`, `1.5s` or `500ms`. `what` names the option in the error. */
export function parseDuration(text: string, what: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(s|ms)$/.exec(text.trim())
  const ms = match ? Number(match[1]) * (match[2] === 's' ? 1000 : 1) : 0
  if (!(ms > 0)) {
    throw new Failure('bad-argument', `expected ${what} to be a duration such as 4s or 500ms, got "${text}"`)
  }
  return ms
}

/** `31457280` as `30.0 MiB`, for people. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  // From here on one digit behind the point would show 1024.0.
  while (value >= (unit === 0 ? 1024 : 1023.95) && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** `61500` as `0:01:01.5`, for people. */
export function formatDuration(ms: number): string {
  const tenths = Math.floor(ms / 100)
  const seconds = Math.floor(tenths / 10)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${tenths % 10}`
}
