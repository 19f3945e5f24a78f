import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { discard } from '../lib/base/discard.ts'

/** Larger than what malloc keeps for later (mallopt(3), M_MMAP_THRESHOLD): a piece that is given back is free at once. */
const pieceBytes = 64 * 1024 * 1024
const pageBytes = 4096
/** Of the memory that programs may have; the system slows writers down when little is left for the page cache. */
const heldShare = 0.6
/** So much more is given back than was taken: what fast transfers take in half a second, bytes. */
const aheadBytes = 768e6
const lookEveryMs = 20

/**
 * The memory of a virtual machine is slow the first time it is touched, and what lies free there goes back to the host within about two
 * seconds (free page reporting). So memory is held here, touched, and given back during a transfer as fast as the transfer takes some: the
 * system hands out first what was freed last, and hardly anybody pays for the host.
 */
export class TouchedMemory {
  readonly #isOn: boolean
  readonly #pieces: Buffer[] = []

  /** Does nothing unless `isWanted`, and the kernel knows free page reporting. */
  constructor({ isWanted }: { isWanted: boolean }) {
    this.#isOn = isWanted && existsSync('/sys/module/page_reporting')
  }

  /** Takes what was given back since. */
  async fill(): Promise<void> {
    if (!this.#isOn) return
    const room = (this.#pieces.length * pieceBytes + (await bytesOf('MemAvailable'))) * heldShare
    while ((this.#pieces.length + 1) * pieceBytes <= room) {
      const piece = Buffer.allocUnsafeSlow(pieceBytes)
      for (let at = 0; at < pieceBytes; at += pageBytes) piece[at] = 1
      this.#pieces.push(piece)
      await setImmediate()
    }
  }

  /** Gives back as others take, until the function that it returns is called. */
  async lend(): Promise<() => void> {
    if (!this.#isOn) return () => {}
    const freeAtFirst = await bytesOf('MemFree')
    let givenBytes = 0
    const keepAhead = async () => {
      const takenBytes = freeAtFirst + givenBytes - (await bytesOf('MemFree'))
      while (givenBytes < takenBytes + aheadBytes && this.#giveBack()) givenBytes += pieceBytes
    }
    await keepAhead()
    const timer = setInterval(() => void keepAhead(), lookEveryMs).unref()
    return () => clearInterval(timer)
  }

  /** Gives all back. */
  release(): void {
    while (this.#giveBack());
  }

  #giveBack(): boolean {
    const piece = this.#pieces.pop()
    if (piece) discard(piece)
    return piece !== undefined
  }
}

/** A row of /proc/meminfo. */
async function bytesOf(name: string): Promise<number> {
  const [, kB] = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(await readFile('/proc/meminfo', 'utf8')) ?? []
  return Number(kB) * 1024
}
