/** What to do with a peer that sent bytes which did not match their digest or signature. */
export type Trust = 'trusted' | 'avoided' | 'banned'

/** Wrong runs within this time count, ms. */
export const trustWindowMs = 10 * 60_000
/** From so many wrong runs on a peer is not asked at all. */
export const banAfter = 3

/** One wrong run and a peer is asked only when nobody else is left; three within ten minutes and it is asked no more. */
export function trustOf(badAt: readonly number[], now: number): Trust {
  const recent = badAt.filter((at) => now - at < trustWindowMs).length
  if (recent === 0) return 'trusted'
  return recent < banAfter ? 'avoided' : 'banned'
}
