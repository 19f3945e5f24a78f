import type { Clock } from './clock.ts'
import { Failure } from './errors.ts'

/**
 * A point in time by which work must be done, and the signal that stops it: one deadline goes down
 * through all calls, timeouts do not nest. Call `done` when the work is over, to release the timer.
 */
export class Deadline {
  readonly at: number
  readonly signal: AbortSignal
  readonly #clock: Clock
  readonly #release: () => void

  /** `budgetMs` from now, or until `parent` aborts, whichever is first. `what` names the work in the error. */
  constructor(clock: Clock, budgetMs: number, what: string, parent?: AbortSignal) {
    const controller = new AbortController()
    this.#clock = clock
    this.at = clock.now() + budgetMs
    this.signal = controller.signal
    const onParentAbort = () => controller.abort(parent?.reason)
    const cancelTimer = clock.after(
      budgetMs,
      () => controller.abort(new Failure('timeout', `${what} did not end within ${Math.round(budgetMs)} ms`)),
      true,
    )
    if (parent?.aborted) onParentAbort()
    else parent?.addEventListener('abort', onParentAbort, { once: true })
    this.#release = () => {
      cancelTimer()
      parent?.removeEventListener('abort', onParentAbort)
    }
  }

  remainingMs(): number {
    return Math.max(0, this.at - this.#clock.now())
  }

  done(): void {
    this.#release()
  }
}

/** Rejects with the signal's reason when it aborts before `work` settles; `work` itself goes on. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => {})
    return Promise.reject(signal.reason)
  }
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const settled = () => signal.removeEventListener('abort', onAbort)
    work.then(
      (value) => {
        settled()
        resolve(value)
      },
      (error) => {
        settled()
        reject(error)
      },
    )
  })
}
