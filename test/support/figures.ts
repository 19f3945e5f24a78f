import { appendFileSync } from 'node:fs'

/**
 * How much of a fault test is run. `npm test` takes the "every run" column; with PEERSTREAMER_TEST_FULL=1 the "full" one, cut into
 * PEERSTREAMER_TEST_SHARES parts, each with a seed of its own (PEERSTREAMER_TEST_SEED), so that a long run can be resumed.
 */
export const isFull = process.env.PEERSTREAMER_TEST_FULL === '1'
const shares = Number(process.env.PEERSTREAMER_TEST_SHARES ?? 1)

export const seed = Number(process.env.PEERSTREAMER_TEST_SEED ?? 2026)

export function figure(everyRun: number, full: number): number {
  return isFull ? Math.ceil(full / shares) : everyRun
}

/** The limit of a test that takes `everyRunMs` at most in every run. */
export function limitMs(everyRunMs: number): number {
  return isFull ? 6 * 3_600_000 : everyRunMs
}

/** What a test saw, for the report of `npm run test:full`. */
interface Finding {
  what:
    | 'kills'
    | 'network faults'
    | 'store kills'
    | 'damaged files'
    | 'fuzz inputs'
    | 'poisoned chunks'
    | 'returns'
    | 'mixed faults'
    | 'soak minutes'
  count: number
  lost?: number
  repeated?: number
  wrong?: number
  worstStallMs?: number
  /** Figures that are told and not judged. */
  also?: Record<string, number>
}

export function note(finding: Finding): void {
  const path = process.env.PEERSTREAMER_TEST_FINDINGS
  if (path) appendFileSync(path, `${JSON.stringify({ seed, ...finding })}\n`)
}
