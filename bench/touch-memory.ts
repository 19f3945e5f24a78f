import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Left free, so that nobody has to wait for the system to give up pages, bytes. */
const spareBytes = 400e6
/** Less than this is not worth a file, bytes. */
const leastBytes = 200e6

/**
 * The memory of a virtual machine is slow the first time that it is touched, and what lies free there goes back to the host within
 * seconds. So free memory is filled with pages of sparse files, which the system gives up at once for whoever needs some: then
 * nobody pays for the host, whoever begins. Called again, it fills what was freed since.
 */
export class TouchedMemory {
  readonly #folder: string
  readonly #mostBytes: number
  #files = 0
  #bytes = 0

  /** `mostBytes`: filled in all; the files go with the folder. */
  constructor(folder: string, mostBytes: number) {
    this.#folder = folder
    this.#mostBytes = mostBytes
  }

  async fill(): Promise<void> {
    const bytes = Math.min((await freeBytes()) - spareBytes, this.#mostBytes - this.#bytes)
    if (bytes < leastBytes) return
    this.#bytes += bytes
    const file = await open(join(this.#folder, `touched-${this.#files++}`), 'w+')
    await file.truncate(bytes)
    const buffer = Buffer.alloc(1024 * 1024)
    for (let at = 0; at < bytes; at += buffer.length) await file.read(buffer, 0, buffer.length, at)
    await file.close()
  }
}

async function freeBytes(): Promise<number> {
  const [, kB] = /^MemFree:\s+(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8')) ?? []
  return Number(kB) * 1024
}
