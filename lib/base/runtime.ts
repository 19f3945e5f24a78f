import { setFlagsFromString } from 'node:v8'
import { discard } from './discard.ts'

/** Work that a function does before V8 optimises it, in V8's own unit; its default of 67,584 is for programs that compute. */
const hotBudget = 30_000_000
/** A little less than the largest piece that glibc takes as a hint (mallopt(3), M_MMAP_THRESHOLD). */
const hintBytes = 31 * 1024 * 1024

/**
 * Fits V8 and malloc to programs that move much and compute little; to be called once, before a program begins
 * (docs/decisions/0010-runtime.md has the figures).
 *
 * V8 optimises later, and collects its young generation in one thread: with a call a MiB it would spend a fifth of the time on
 * compiling. glibc's malloc gives no memory back to the system below twice the size of the largest piece that was ever freed: one large
 * piece, never touched, keeps it from paying page faults for each run anew. Other mallocs are none the wiser.
 */
export function fitRuntime(): void {
  setFlagsFromString(`--interrupt-budget=${hotBudget}`)
  setFlagsFromString('--no-parallel-scavenge')
  discard(Buffer.allocUnsafeSlow(hintBytes))
}
