import type { Clock } from './clock.ts'

/** A clock that stands still until it is told to move; timers fire in order of their time. */
export class VirtualClock implements Clock {
  #now = 0
  #timers: { at: number; order: number; fire: () => void }[] = []
  #order = 0

  now(): number {
    return this.#now
  }

  wallTimeMs(): number {
    return this.#now
  }

  after(delayMs: number, fire: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, fire }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Time goes by without a timer firing, as when a process was stopped; what fell due fires at the next `advance`. */
  jump(ms: number): void {
    this.#now += ms
  }

  /** Moves time on by `ms`, firing what falls due; promises that the timers settle get their turn in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await settle()
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0]
      if (!due) break
      this.#timers = this.#timers.filter((other) => other !== due)
      this.#now = Math.max(this.#now, due.at)
      due.fire()
    }
    this.#now = end
    await settle()
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
