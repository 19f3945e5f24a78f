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
  readonly #have: Sets = new Map()
  readonly #lost: Sets = new Map()
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
    this.#cancel?.()
    this.#cancel = undefined
    void this.#tell()
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
    const [have, lost] = [new Map(this.#have), new Map(this.#lost)]
    this.#have.clear()
    this.#lost.clear()
    for (const changes of this.#reports(have, lost)) {
      if (await this.#uplink?.report(changes)) continue
      // Without a master there will be a new registration, and with it all is told. With one, try again.
      if (this.#uplink?.current === undefined) return
      this.#putBack(have, lost)
      return this.#schedule()
    }
  }

  *#reports(have: Sets, lost: Sets): Iterable<HoldingsChange[]> {
    let changes: HoldingsChange[] = []
    let ranges = 0
    for (const stream of new Set([...have.keys(), ...lost.keys()])) {
      const known = this.#nameOf(stream)
      if (!known) continue
      const [gained, gone] = [have.get(stream)?.list() ?? [], lost.get(stream)?.list() ?? []]
      for (let at = 0; at < Math.max(gained.length, gone.length); at += rangesPerReport) {
        const part = { have: gained.slice(at, at + rangesPerReport), lost: gone.slice(at, at + rangesPerReport) }
        changes.push({ ...known, ...part })
        ranges += part.have.length + part.lost.length
        if (ranges < rangesPerReport) continue
        yield changes
        changes = []
        ranges = 0
      }
    }
    if (changes.length > 0) yield changes
  }

  /** What happened since is newer than what is put back. */
  #putBack(have: Sets, lost: Sets): void {
    for (const [older, newer, opposite] of [
      [have, this.#have, this.#lost],
      [lost, this.#lost, this.#have],
    ] as const) {
      for (const [stream, set] of older) {
        for (const [first, end] of opposite.get(stream)?.list() ?? []) set.remove(first, end)
        for (const [first, end] of set.list()) setOf(newer, stream).add(first, end)
      }
    }
  }
}

type Sets = Map<StreamKey, RangeSet>

function setOf(sets: Sets, stream: StreamKey): RangeSet {
  let set = sets.get(stream)
  if (!set) {
    set = new RangeSet()
    sets.set(stream, set)
  }
  return set
}
