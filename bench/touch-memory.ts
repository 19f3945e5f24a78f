import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { discard } from '../lib/base/discard.ts'

/** Larger than what malloc keeps for later (mallopt(3), M_MMAP_THRESHOLD): a piece that is given back is free at once. */
const pieceBytes = 64 * 1024 * 1024
const pageBytes = 4096
/** Left free when memory is taken, and kept free from then on: what was given back in between is taken first. Bytes. */
const [leftBytes, keptBytes] = [300e6, 900e6]
const lookEveryMs = 20

/**
 * The memory of a virtual machine is slow the first time it is touched, and what lies free there goes back to the host within about two
 * seconds (free page reporting). So free memory is held here, touched, but for a little; and given back as programs take of that little:
 * the system hands out first what was freed last, and hardly anybody pays for the host.
 */
export class TouchedMemory {
  readonly #isOn: boolean
  readonly #pieces: Buffer[] = []
  #timer: NodeJS.Timeout | undefined

  /** Holds nothing unless `isWanted`, and the machine has free page reporting. */
  constructor({ isWanted }: { isWanted: boolean }) {
    this.#isOn = isWanted && existsSync('/sys/module/page_reporting')
  }

  /** Takes what is free by now, and from then on gives back. */
  async fill(): Promise<void> {
    if (!this.#isOn) return
    clearInterval(this.#timer)
    while ((await freeBytes()) >= leftBytes + pieceBytes) {
      const piece = Buffer.allocUnsafeSlow(pieceBytes)
      for (let at = 0; at < pieceBytes; at += pageBytes) piece[at] = 1
      this.#pieces.push(piece)
      await setImmediate()
    }
    await this.#giveBack()
    this.#timer = setInterval(() => void this.#giveBack(), lookEveryMs).unref()
  }

  async #giveBack(): Promise<void> {
    for (let bytes = keptBytes - (await freeBytes()); bytes > 0; bytes -= pieceBytes) {
      const piece = this.#pieces.pop()
      if (!piece) return
      discard(piece)
    }
  }
}

async function freeBytes(): Promise<number> {
  const [, kB] = /^MemFree:\s+(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8')) ?? []
  return Number(kB) * 1024
}
