import { digestOf } from '../../lib/base/digest.ts'
import { Page } from '../../lib/stream/page.ts'
import { chunkStart } from '../../lib/stream/records.ts'
import { Signer } from '../../lib/stream/signing.ts'
import { streamIdOf } from '../../lib/stream/stream-key.ts'
import { seededBytes } from './seeded.ts'

export interface MadePage {
  page: Page
  chunks: Buffer[]
}

const signer = new Signer(Buffer.alloc(32, 7))

/** A signed page of `count` chunks of `sizeBytes` random bytes, of the stream `name`, from chunk `first`. */
export function makePage(
  count: number,
  sizeBytes: number,
  options: { first?: number; name?: string; epoch?: number; seed?: number } = {},
): MadePage {
  const { first = 0, name = 'film', epoch = 1, seed = 1 } = options
  const bytes = seededBytes(seed + first, count * sizeBytes)
  const chunks = Array.from({ length: count }, (_, i) => bytes.subarray(i * sizeBytes, (i + 1) * sizeBytes))
  const page = Page.make(
    { streamId: streamIdOf(signer.publicKey, name), epoch, first, offset: first * sizeBytes, last: false },
    chunks.map((chunk) => ({ sizeBytes, digest: digestOf(chunk), start: chunkStart.continues, times: [] })),
    signer,
  )
  return { page, chunks }
}
