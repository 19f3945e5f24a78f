import { type Finding, fail, ok, warn } from './finding.ts'

/** Two machines that keep time by NTP differ by less, ms. */
const toleratedMs = 3000
const keepTime = 'keep the time by NTP (timedatectl set-ntp true)'

/** Both in ms since 1970. No program runs before it was built. */
export function judgeClock(nowMs: number, builtAtMs: number): Finding {
  const now = `it is ${shown(nowMs)} here`
  if (nowMs >= builtAtMs) return ok('clock', now)
  return fail('clock', `${now}, and this program was built later, at ${shown(builtAtMs)}`, `set the clock; ${keepTime}`)
}

/** The master's clock when it answered, undefined when it does not tell; ours when it was asked; how long that took. All in ms. */
export interface ClocksSeen {
  masterMs: number | undefined
  askedAtMs: number
  roundTripMs: number
}

/** The master looked at its clock at some time of the round trip, so half of that is not known. */
export function judgeMasterClock({ masterMs, askedAtMs, roundTripMs }: ClocksSeen): Finding {
  if (masterMs === undefined)
    return warn('master-clock', 'the master does not tell its time', 'update peerstreamer on the master')
  const aheadMs = askedAtMs + roundTripMs / 2 - masterMs
  const difference = `${(Math.abs(aheadMs) / 1000).toFixed(1)} s ${aheadMs < 0 ? 'behind' : 'ahead of'} the master's`
  if (Math.abs(aheadMs) <= toleratedMs + roundTripMs / 2) return ok('master-clock', `the clock is ${difference}`)
  return warn('master-clock', `the clock is ${difference}`, `on both machines, ${keepTime}`)
}

function shown(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
