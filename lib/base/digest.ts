import { createRequire } from 'node:module'

// The package is CommonJS with a generated entry whose names ES modules cannot see.
const { blake3 } = createRequire(import.meta.url)('@napi-rs/blake-hash') as { blake3(input: Uint8Array): Buffer }

export const digestBytes = 32

/** BLAKE3-256 of `bytes`: 32 bytes. */
export function digestOf(bytes: Uint8Array): Buffer {
  return blake3(bytes)
}
