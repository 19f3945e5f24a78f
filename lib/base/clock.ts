import { performance } from 'node:perf_hooks'

/** Time as everything but this file sees it, so that tests and the simulator can move it. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; leases and deadlines use only this. */
  now(): number
  /** Milliseconds since 1970 by the wall clock; only for people to read. */
  wallTimeMs(): number
  /** Calls `fire` once after `delayMs`; the returned function cancels it. A timer does not keep the process alive unless `keepAlive`. */
  after(delayMs: number, fire: () => void, keepAlive?: boolean): () => void
}

/** A number in [0, 1), evenly distributed. */
export type Chance = () => number

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTimeMs: () => Date.now(),
  after(delayMs, fire, keepAlive = false) {
    const timer = setTimeout(fire, delayMs)
    if (!keepAlive) timer.unref()
    return () => clearTimeout(timer)
  },
}

export const systemChance: Chance = () => Math.random()

/** Resolves after `delayMs`, or rejects with the signal's reason when it aborts first. Keeps the process alive meanwhile. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      cancel()
      reject(signal?.reason)
    }
    const cancel = clock.after(
      delayMs,
      () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      },
      true,
    )
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
