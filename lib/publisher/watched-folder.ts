/** What a look at a file told. */
export interface FileLook {
  file: string
  sizeBytes: number
  modifiedMs: number
}

/** A file that looked the same for this long is no longer growing, ms. */
export const settledMs = 2000

interface Known extends FileLook {
  /** Since when it looks like this, by the monotonic clock, ms. */
  since: number
  /** Whether it is dealt with as it looks. */
  isDone: boolean
  /** Not before then, by the monotonic clock, ms. */
  notBefore: number
}

/** Decides which files of a folder are to be published, from one look at it after another. Pure. */
export class WatchedFolder {
  readonly #known = new Map<string, Known>()

  /** Takes a look at the whole folder at time `now`; returns the files that are due, sorted by name. */
  look(looks: readonly FileLook[], now: number): FileLook[] {
    const present = new Set(looks.map((look) => look.file))
    // A file that is gone stays published; when it comes back it is a new one.
    for (const file of [...this.#known.keys()]) if (!present.has(file)) this.#known.delete(file)
    for (const look of looks) {
      const known = this.#known.get(look.file)
      if (known && looksAlike(known, look)) continue
      this.#known.set(look.file, { ...look, since: now, isDone: false, notBefore: now })
    }
    return [...this.#known.values()]
      .filter(
        ({ isDone, since, notBefore, sizeBytes }) =>
          !isDone && sizeBytes > 0 && now - since >= settledMs && now >= notBefore,
      )
      .sort((a, b) => (a.file < b.file ? -1 : 1))
      .map(({ file, sizeBytes, modifiedMs }) => ({ file, sizeBytes, modifiedMs }))
  }

  /** The file is published as it looked, or cannot be until it changes. */
  done(look: FileLook): void {
    const known = this.#known.get(look.file)
    if (known && looksAlike(known, look)) known.isDone = true
  }

  /** The file could not be published now; it is due again from `at` on. */
  later(look: FileLook, at: number): void {
    const known = this.#known.get(look.file)
    if (known) known.notBefore = at
  }
}

export function looksAlike(one: FileLook, other: FileLook): boolean {
  return one.sizeBytes === other.sizeBytes && one.modifiedMs === other.modifiedMs
}
