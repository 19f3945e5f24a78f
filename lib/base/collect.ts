import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { underFlag } from './flagged.ts'

/** Bytes of runs behind which V8 is told to collect. */
const everyBytes = 1024 * 1024 * 1024
/** Both halves of V8's young generation: enough for what a node or a streamer makes between two collections of it. V8 would take 32 MiB. */
const youngBytes = 4 * 1024 * 1024

const collect = underFlag('expose-gc', 'gc') as () => void
let moved = 0
let isYoungHeld = false

/**
 * Counts bytes of runs that came or went outside V8's heap, and keeps that heap small. Without those bytes V8 sees little reason to
 * collect: what outlived its young generation piles up by about 9 MB a GB. A collection takes 10 to 20 ms.
 */
export function noteMoved(bytes: number): void {
  if (!isYoungHeld) holdYoung()
  moved += bytes
  if (moved < everyBytes) return
  moved = 0
  collect()
}

/** The size of the young generation is fixed when Node starts, but not how it grows. */
function holdYoung(): void {
  const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')
  if (young && young.space_size < youngBytes) return
  isYoungHeld = true
  setFlagsFromString('--semi-space-growth-factor=1')
}
