/** mulberry32: a small generator whose every run can be repeated from its seed. */
export function seededChance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function seededBytes(seed: number, length: number): Buffer {
  const chance = seededChance(seed)
  const words = new Uint32Array(Math.ceil(length / 4)).map(() => chance() * 2 ** 32)
  return Buffer.from(words.buffer, 0, length)
}
