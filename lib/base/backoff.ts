import type { Chance } from './clock.ts'

export interface BackoffOptions {
  /** Upper bound of the first delay. */
  firstMs: number
  /** Upper bound of any delay. */
  maxMs: number
}

/**
 * Full jitter: a delay evenly distributed between 0 and the doubled bound (Brooker, "Exponential Backoff And
 * Jitter", AWS Architecture Blog, 2015). `attempt` counts from 0.
 */
export function backoffMs(attempt: number, { firstMs, maxMs }: BackoffOptions, chance: Chance): number {
  return chance() * Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30))
}
