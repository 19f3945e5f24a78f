import type { Peer } from '../network/peer.ts'
import type { PublishedStream } from '../store/published-stream.ts'
import { Descriptor } from '../stream/descriptor.ts'
import { Page } from '../stream/page.ts'

/** Whether the source publishes just this content already, under the same name and key in whatever epoch. */
export async function isPublishedAs(source: Peer, stream: PublishedStream, signal: AbortSignal): Promise<boolean> {
  const ours = stream.descriptor
  const theirs = Descriptor.open(await source.describe(ours.name, { signal }))
  if (!theirs.streamId.equals(ours.streamId) || !sameFields(theirs, ours)) return false
  for (let index = 0; index < ours.chunkCount; ) {
    const page = await stream.page(index)
    const [signed] = await source.pages(ours.name, index, 1, theirs.epoch, { signal })
    if (!signed) return false
    if (!sameRecords(page, Page.open(signed, theirs))) return false
    index = page.end
  }
  return true
}

function sameFields({ fields: one }: Descriptor, { fields: other }: Descriptor): boolean {
  return (
    one.chunkCount === other.chunkCount &&
    one.chunkBytes === other.chunkBytes &&
    one.format === other.format &&
    one.ending === other.ending &&
    one.pageRecords === other.pageRecords &&
    Buffer.from(one.init).equals(other.init)
  )
}

function sameRecords(one: Page, other: Page): boolean {
  if (one.first !== other.first || one.count !== other.count) return false
  for (let index = one.first; index < one.end; index++) {
    const [ours, theirs] = [one.record(index), other.record(index)]
    if (ours.sizeBytes !== theirs.sizeBytes || !Buffer.from(ours.digest).equals(theirs.digest)) return false
  }
  return true
}
