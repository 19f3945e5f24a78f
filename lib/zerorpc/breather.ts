/** Bytes after which a loop over messages lets timers and other work run. */
const sliceBytes = 4 * 1024 * 1024

/**
 * zeromq.js settles up to 512 operations before the event loop turns; with large messages that starves timers. A loop
 * awaits `breathe` after each message; it pauses only when enough bytes went by.
 */
export class Breather {
  #bytes = 0

  /** A promise to await, or undefined when there is no need. */
  breathe(bytes: number): Promise<void> | undefined {
    this.#bytes += bytes + 1024
    if (this.#bytes < sliceBytes) return undefined
    this.#bytes = 0
    return new Promise((resolve) => setImmediate(resolve))
  }
}

/** Hands each message of a socket and its bytes to `take`; ends when the socket is closed, throws when it fails. */
export async function receiveEach(
  socket: AsyncIterable<Uint8Array[]>,
  take: (frames: Uint8Array[], bytes: number) => void,
): Promise<void> {
  const breather = new Breather()
  for await (const frames of socket) {
    const bytes = bytesOf(frames)
    take(frames, bytes)
    const pause = breather.breathe(bytes)
    if (pause) await pause
  }
}

export function bytesOf(frames: readonly Uint8Array[]): number {
  let bytes = 0
  for (const frame of frames) bytes += frame.length
  return bytes
}
