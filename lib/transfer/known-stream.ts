import type { Descriptor } from '../stream/descriptor.ts'
import type { Page } from '../stream/page.ts'

/** A stream whose descriptor was verified, and its pages, each verified once when it arrives. */
export interface KnownStream {
  readonly descriptor: Descriptor
  /** The page that holds chunk `index`. Throws `unavailable` when nobody who has it can be asked. */
  page(index: number): Promise<Page>
}
