/** Resolves when the state is as wanted; rejects with the last state after `limitMs`. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  isSo: (state: T) => boolean,
  limitMs = 10_000,
): Promise<T> {
  const endsAt = performance.now() + limitMs
  for (;;) {
    const state = await look()
    if (isSo(state)) return state
    if (performance.now() > endsAt)
      throw new Error(`waited ${limitMs} ms for ${what}; last seen: ${JSON.stringify(state)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
