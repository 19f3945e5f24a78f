import { limits } from '../base/limits.ts'
import type { Address } from '../stream/address.ts'
import { RangeSet } from '../stream/ranges.ts'
import type { Run } from '../stream/runs.ts'
import type { StreamKey } from '../stream/stream-key.ts'

/**
 * Which child of a master holds, or is getting, which run of chunks; and who of them should ask whom.
 *
 * Each run is handed out once: the first child that asks is told to take it from the master, every later one to take it
 * from a sibling, who may still be receiving it. A child is only ever sent to one that was handed the run before it, so
 * nobody waits in a circle. A promise that was not kept within `limits.fetchMs` is forgotten, and the next asker
 * becomes the first. Pure bookkeeping: the time is passed in.
 */
export class Directory {
  readonly #children = new Map<string, Child>()
  readonly #promises = new Map<StreamKey, Map<number, Promised[]>>()

  /** Siblings named per run: the second is for when the first fails. */
  static readonly peersPerRun = 2
  /** Above this many children in wait for one, a child that is still receiving is not named while another could be. */
  static readonly waitersPerReceiver = 2

  /** Takes a child. What it holds is noted at once; it is named to siblings only once it `answered` at its address. */
  join(id: string, address: Address): void {
    this.#children.set(id, { id, address, hasAnswered: false, held: new Map(), serving: 0 })
  }

  answered(id: string): void {
    const child = this.#children.get(id)
    if (child) child.hasAnswered = true
  }

  hasAnswered(id: string): boolean {
    return this.#children.get(id)?.hasAnswered ?? false
  }

  leave(id: string): void {
    this.#children.delete(id)
    for (const runs of this.#promises.values()) {
      for (const [first, promises] of runs) {
        const kept = promises.filter((promise) => promise.child !== id)
        for (const gone of promises) if (gone.child === id) this.#release(gone)
        if (kept.length === 0) runs.delete(first)
        else runs.set(first, kept)
      }
    }
  }

  /** Notes what a child holds now; promises that it kept are settled. */
  have(id: string, stream: StreamKey, first: number, end: number): void {
    const child = this.#children.get(id)
    if (!child) return
    heldOf(child, stream).add(first, end)
    const runs = this.#promises.get(stream)
    if (!runs) return
    // Reports are mostly short ranges: look runs up one by one unless there are more indexes than promises.
    if (end - first < runs.size) for (let index = first; index < end; index++) this.#settle(runs, index, id)
    else for (const index of [...runs.keys()]) if (index >= first && index < end) this.#settle(runs, index, id)
    if (runs.size === 0) this.#promises.delete(stream)
  }

  /** How many chunks the child has reported and not lost. */
  heldBy(id: string): number {
    return [...(this.#children.get(id)?.held.values() ?? [])].reduce((sum, held) => sum + held.size, 0)
  }

  lost(id: string, stream: StreamKey, first: number, end: number): void {
    this.#children.get(id)?.held.get(stream)?.remove(first, end)
  }

  /** Forgets promises that were not kept in time. */
  sweep(now: number): void {
    for (const [stream, runs] of this.#promises) {
      for (const first of [...runs.keys()]) if (this.#livePromises(stream, first, now).length === 0) runs.delete(first)
      if (runs.size === 0) this.#promises.delete(stream)
    }
  }

  /**
   * Whom child `asker` should ask for `run`: addresses of siblings, best first, or none to ask the master.
   * Notes that the asker is now getting it. `avoid`: siblings that failed the asker.
   */
  assign(stream: StreamKey, run: Run, asker: string, now: number, avoid: ReadonlySet<Address>): Address[] {
    const promises = this.#livePromises(stream, run.first, now)
    const mine = promises.findIndex((promise) => promise.child === asker)
    // Only those who were handed the run before the asker; who asks again keeps its place.
    const before = mine === -1 ? promises : promises.slice(0, mine)
    const holders = this.#rank(stream, run, asker, before, avoid)
    const provider = holders[0]
    const promise: Promised = { child: asker, at: now, provider: provider?.id }
    if (provider) provider.serving++
    const old = promises[mine]
    if (old) {
      this.#release(old)
      promises[mine] = promise
    } else {
      promises.push(promise)
    }
    return holders.slice(0, Directory.peersPerRun).map((child) => child.address)
  }

  /** Notes that a child takes the run straight from the master. */
  taking(stream: StreamKey, run: Run, asker: string, now: number): void {
    const promises = this.#livePromises(stream, run.first, now)
    if (!promises.some((promise) => promise.child === asker))
      promises.push({ child: asker, at: now, provider: undefined })
  }

  #rank(stream: StreamKey, run: Run, asker: string, before: Promised[], avoid: ReadonlySet<Address>): Child[] {
    const end = run.first + run.count
    const holding: Child[] = []
    const receiving: Child[] = []
    const mayBeNamed = (child: Child) => child.hasAnswered && child.id !== asker && !avoid.has(child.address)
    for (const child of this.#children.values()) {
      if (!mayBeNamed(child)) continue
      if (child.held.get(stream)?.covers(run.first, end)) holding.push(child)
    }
    for (const promise of before) {
      const child = this.#children.get(promise.child)
      if (!child || !mayBeNamed(child) || holding.includes(child)) continue
      receiving.push(child)
    }
    const waiting = (child: Child) => before.filter((promise) => promise.provider === child.id).length
    const ready = receiving.filter((child) => waiting(child) < Directory.waitersPerReceiver)
    const byLoad = (a: Child, b: Child) => a.serving - b.serving
    // Who was handed the run earlier has it earlier; among equals the least busy.
    return [...holding.sort(byLoad), ...ready, ...receiving.filter((child) => !ready.includes(child)).sort(byLoad)]
  }

  #livePromises(stream: StreamKey, first: number, now: number): Promised[] {
    let runs = this.#promises.get(stream)
    if (!runs) {
      runs = new Map()
      this.#promises.set(stream, runs)
    }
    const promises = runs.get(first) ?? []
    const live = promises.filter((promise) => now - promise.at < limits.fetchMs)
    for (const promise of promises) if (!live.includes(promise)) this.#release(promise)
    runs.set(first, live)
    return live
  }

  #settle(runs: Map<number, Promised[]>, index: number, id: string): void {
    const promises = runs.get(index)
    const kept = promises?.find((promise) => promise.child === id)
    if (!promises || !kept) return
    this.#release(kept)
    if (promises.length === 1) runs.delete(index)
    else
      runs.set(
        index,
        promises.filter((promise) => promise !== kept),
      )
  }

  #release(promise: Promised): void {
    const provider = promise.provider === undefined ? undefined : this.#children.get(promise.provider)
    if (provider) provider.serving = Math.max(0, provider.serving - 1)
  }
}

interface Child {
  id: string
  address: Address
  hasAnswered: boolean
  held: Map<StreamKey, RangeSet>
  /** Runs that siblings were told to take from this child and have not reported yet. */
  serving: number
}

/** A child that was told where to get a run, in the order of asking. */
interface Promised {
  child: string
  at: number
  /** The sibling it was sent to; undefined: the master. */
  provider: string | undefined
}

function heldOf(child: Child, stream: StreamKey): RangeSet {
  let held = child.held.get(stream)
  if (!held) {
    held = new RangeSet()
    child.held.set(stream, held)
  }
  return held
}
