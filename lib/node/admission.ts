import { readFile, stat } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'
import { errnoOf, Failure, toFailure } from '../base/errors.ts'
import type { Closeable } from '../base/lifecycle.ts'
import type { Logger } from '../base/log.ts'
import { type Admitted, AllowList } from '../network/allow-list.ts'

/** How often the file is looked at, ms. */
const lookMs = 1000
/** A key that keeps knocking is reported once in this time, ms. */
const reportMs = 10_000
/** Keys whose last report is remembered. */
const mostReported = 1000

/** Who may connect to this node and in which role: a file, read again when it changes. */
export class Admission implements Closeable {
  readonly #path: string
  readonly #clock: Clock
  readonly #log: Logger
  readonly #reportedAt = new Map<string, number>()
  #list: AllowList
  #version: string
  #cancel = () => {}

  private constructor(path: string, list: AllowList, version: string, clock: Clock, log: Logger) {
    this.#path = path
    this.#list = list
    this.#version = version
    this.#clock = clock
    this.#log = log
    this.#lookLater()
  }

  /** Throws `bad-config` when the file cannot be read or has a wrong line. */
  static async open(path: string, options: { clock: Clock; log: Logger }): Promise<Admission> {
    const version = await versionOf(path)
    return new Admission(path, await read(path), version, options.clock, options.log)
  }

  /** Whether the key may connect at all; tells the operator when it may not. */
  admits(publicKey: Buffer, from: string): boolean {
    if (this.#list.find(publicKey)) return true
    this.#report(publicKey.toString('base64url'), from)
    return false
  }

  find(publicKey: Uint8Array | undefined): Admitted | undefined {
    return this.#list.find(publicKey)
  }

  async close(): Promise<void> {
    this.#cancel()
  }

  #report(key: string, from: string): void {
    const now = this.#clock.now()
    if (now - (this.#reportedAt.get(key) ?? Number.NEGATIVE_INFINITY) < reportMs) return
    this.#reportedAt.delete(key)
    this.#reportedAt.set(key, now)
    for (const oldest of this.#reportedAt.keys()) {
      if (this.#reportedAt.size <= mostReported) break
      this.#reportedAt.delete(oldest)
    }
    this.#log.warn(`refused ${from || 'a caller'}: its key ${key} is not in ${this.#path}`)
  }

  #lookLater(): void {
    this.#cancel = this.#clock.after(lookMs, () => void this.#look())
  }

  async #look(): Promise<void> {
    try {
      const version = await versionOf(this.#path)
      if (version !== this.#version) {
        this.#version = version
        this.#list = await read(this.#path)
        this.#log.info(`read ${this.#path} again: ${this.#list.size} keys are admitted`)
      }
    } catch (error) {
      // Who was admitted stays admitted: a slip of the editor must not cut the network.
      this.#log.error(`${toFailure(error).message}; the list as it was before stays in force`)
    }
    this.#lookLater()
  }
}

async function read(path: string): Promise<AllowList> {
  try {
    return AllowList.parse(await readFile(path, 'utf8'), path)
  } catch (cause) {
    throw cause instanceof Failure ? cause : unreadable(path, cause)
  }
}

async function versionOf(path: string): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(path)
    return `${ino}/${mtimeMs}/${size}`
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

function unreadable(path: string, cause: unknown): Failure {
  return new Failure('bad-config', `cannot read the list of --allow ${path}: ${errnoOf(cause) ?? cause}`, { cause })
}
