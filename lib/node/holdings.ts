import type { Clock } from '../base/clock.ts'
import type { HoldingsChange } from '../network/peer.ts'
import type { Uplink } from '../network/uplink.ts'
import type { ChunkStore } from '../store/chunk-store.ts'
import { RangeSet } from '../stream/ranges.ts'
import type { StreamKey } from '../stream/stream-key.ts'

/** Changes are gathered for so long before they are told, ms. */
const batchMs = 250
/** Ranges in one report. */
const rangesPerReport = 2000

/** Tells the master, in batches of ranges, what this relay holds and what it lost; all of it after each registration. */
export class Holdings {
  readonly #store: ChunkStore
  readonly #clock: Clock
  /** The name under which the master knows a stream; undefined when it is not known (any more). */
  readonly #nameOf: (stream: StreamKey) => { name: string; epoch: number } | undefined
  readonly #have = new Map<StreamKey, RangeSet>()
  readonly #lost = new Map<StreamKey, RangeSet>()
  #uplink: Uplink | undefined
  #cancel: (() => void) | undefined

  constructor(
    store: ChunkStore,
    clock: Clock,
    nameOf: (stream: StreamKey) => { name: string; epoch: number } | undefined,
  ) {
    this.#store = store
    this.#clock = clock
    this.#nameOf = nameOf
    store.onLost((stream, { first, end }) => this.lost(stream, first, end))
  }

  have(stream: StreamKey, first: number, end: number): void {
    setOf(this.#have, stream).add(first, end)
    this.#lost.get(stream)?.remove(first, end)
    this.#schedule()
  }

  lost(stream: StreamKey, first: number, end: number): void {
    setOf(this.#lost, stream).add(first, end)
    this.#have.get(stream)?.remove(first, end)
    this.#schedule()
  }

  /** A new master knows nothing yet: tells it all. */
  announce(uplink: Uplink): void {
    this.#uplink = uplink
    for (const stream of this.#store.streams()) {
      for (const { first, end } of this.#store.held(stream)) setOf(this.#have, stream).add(first, end)
    }
    this.#schedule()
  }

  close(): void {
    this.#cancel?.()
  }

  #schedule(): void {
    if (this.#cancel || !this.#uplink) return
    this.#cancel = this.#clock.after(batchMs, () => {
      this.#cancel = undefined
      void this.#tell()
    })
  }

  async #tell(): Promise<void> {
    const streams = new Set([...this.#have.keys(), ...this.#lost.keys()])
    let changes: HoldingsChange[] = []
    let ranges = 0
    for (const stream of streams) {
      const known = this.#nameOf(stream)
      const [have, lost] = [this.#have.get(stream)?.list() ?? [], this.#lost.get(stream)?.list() ?? []]
      if (!known) continue
      for (let at = 0; at < Math.max(have.length, lost.length, 1); at += rangesPerReport) {
        const part = {
          ...known,
          have: have.slice(at, at + rangesPerReport),
          lost: lost.slice(at, at + rangesPerReport),
        }
        ranges += part.have.length + part.lost.length
        changes.push(part)
        if (ranges < rangesPerReport) continue
        await this.#uplink?.report(changes)
        changes = []
        ranges = 0
      }
    }
    this.#have.clear()
    this.#lost.clear()
    // When this fails the node registers anew, and then tells all.
    await this.#uplink?.report(changes)
  }
}

function setOf(sets: Map<StreamKey, RangeSet>, stream: StreamKey): RangeSet {
  let set = sets.get(stream)
  if (!set) {
    set = new RangeSet()
    sets.set(stream, set)
  }
  return set
}
