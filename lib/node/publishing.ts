import { Failure } from '../base/errors.ts'
import type { Arguments, PublishReply } from '../network/contract.ts'
import type { Traffic } from '../network/traffic.ts'
import type { Uploads } from '../store/uploads.ts'
import type { CallContext } from '../zerorpc/index.ts'

export interface PublishingOptions {
  /** A relay has none, and admits nobody. */
  uploads: Uploads | undefined
  traffic: Traffic
}

/** The methods by which a publisher hands a stream over; docs/protocol.md describes them. */
export class Publishing {
  readonly #options: PublishingOptions

  constructor(options: PublishingOptions) {
    this.#options = options
  }

  async check([name, key, options]: Arguments<'publishCheck'>): Promise<{ epoch: number }> {
    return this.#uploads().check(name, Buffer.from(key, 'base64url'), options)
  }

  async begin([descriptor, contentDigest, options]: Arguments<'publish'>): Promise<PublishReply> {
    return this.#uploads().begin(descriptor, contentDigest, options)
  }

  async pages([id, from, pages]: Arguments<'publishPages'>): Promise<null> {
    await this.#uploads().get(id).addPages(from, pages)
    return null
  }

  async chunks([id, first, count, data]: Arguments<'publishChunks'>, context: CallContext): Promise<null> {
    const bytes = data ?? joined(context.payload)
    await this.#uploads().get(id).addChunks(first, count, bytes)
    this.#options.traffic.uploaded(bytes.length, count)
    return null
  }

  async end([id]: Arguments<'publishEnd'>): Promise<null> {
    await this.#uploads().end(id)
    return null
  }

  #uploads(): Uploads {
    const { uploads } = this.#options
    if (!uploads) throw new Failure('refused', 'this node takes no streams')
    return uploads
  }
}

function joined(frames: Uint8Array[]): Uint8Array {
  const [only] = frames
  return only && frames.length === 1 ? only : Buffer.concat(frames)
}
