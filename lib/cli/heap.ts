import { setFlagsFromString } from 'node:v8'

/**
 * Buffers of chunks lie outside V8's heap but count when it decides to mark and sweep, and its heap is so small that by
 * default each 10 to 16 MB of chunks start that: a hundred times a GB. This lets the sum grow to five times what was alive.
 * Figures: docs/decisions/0006-heap-growth.md.
 */
export function letHeapGrow(): void {
  setFlagsFromString('--heap-growing-percent=400')
}
