import { type Chance, type Clock, systemChance, systemClock } from '../base/clock.ts'
import { Failure, isFailure } from '../base/errors.ts'
import type { ChunkLimit } from '../media/chunker.ts'
import { type SplitOptions, split } from '../media/split.ts'
import { Peer } from '../network/peer.ts'
import { VideoDatabase } from '../store/video-database.ts'
import type { Address } from '../stream/address.ts'
import type { Descriptor } from '../stream/descriptor.ts'
import type { Signer } from '../stream/signing.ts'
import type { KeyPair } from '../zerorpc/index.ts'
import { type HandedOver, handOver } from './hand-over.ts'
import { isPublishedAs } from './same-content.ts'
import { inWorkFolder } from './work-folder.ts'

export interface PublishOptions {
  path: string
  /** The source. */
  to: Address
  name: string
  limit: ChunkLimit
  format: SplitOptions['format']
  replace: boolean
  signer: Signer
  /** Own keys, for a source that admits only known ones. */
  keys?: KeyPair | undefined
  signal: AbortSignal
  clock?: Clock
  chance?: Chance
  patienceMs?: number
  /** Called when the input is cut, before anything is handed over; what it throws ends the work. */
  onCut?(): Promise<void>
  onReencode?: SplitOptions['onReencode']
  /** Bytes done of cutting, then of handing over. */
  onProgress?(step: 'cutting' | 'sending', doneBytes: number, totalBytes: number | undefined): void
}

export interface PublishSummary {
  descriptor: Descriptor
  /** Null when the source published just this content already. */
  sent: HandedOver | null
}

const callTimeoutMs = 5000

/** Cuts a film or file into a temporary video database and hands it over to a source: all of it, or nothing. */
export async function publish(options: PublishOptions): Promise<PublishSummary> {
  const { path, to, name, limit, format, replace, signer, signal, onProgress, onReencode } = options
  const { clock = systemClock, chance = systemChance } = options
  const source = new Peer(to, clock, options.keys)
  try {
    // Before the work of cutting: whether it would be in vain.
    const { epoch } = await checkFirst(source, options)
    return await inWorkFolder(async (folder) => {
      const database = await VideoDatabase.open(folder, { create: true, signer, firstEpoch: epoch })
      try {
        const descriptor = await split({
          database,
          input: { path },
          name,
          limit,
          format,
          replace: false,
          signal,
          onReencode,
          onProgress: (done, total) => onProgress?.('cutting', done, total),
        })
        const stream = await database.find(name)
        if (!stream) throw new Failure('internal', `${name} was cut and is not there`)
        await options.onCut?.()
        if (epoch > 1 && (await isPublishedAs(source, stream, signal))) return { descriptor, sent: null }
        const sent = await handOver({
          source,
          stream,
          replace,
          clock,
          chance,
          signal,
          patienceMs: options.patienceMs,
          onProgress: (done, total) => onProgress?.('sending', done, total),
        })
        return { descriptor, sent }
      } finally {
        await database.close()
      }
    })
  } finally {
    await source.close()
  }
}

async function checkFirst(
  source: Peer,
  { to, name, signer, replace, signal }: PublishOptions,
): Promise<{ epoch: number }> {
  try {
    return await source.publishCheck(name, signer.publicKey, { replace }, { timeoutMs: callTimeoutMs, signal })
  } catch (error) {
    if (!isFailure(error, 'timeout')) throw error
    throw new Failure('unreachable', `${to} does not answer; is a source running there?`, { cause: error })
  }
}
