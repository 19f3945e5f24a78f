import { open, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Readable } from 'node:stream'
import { errnoOf, Failure } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { StreamWriter } from '../store/stream-writer.ts'
import type { VideoDatabase } from '../store/video-database.ts'
import { type ContentKey, tagBytes } from '../stream/content.ts'
import type { Descriptor, Track } from '../stream/descriptor.ts'
import { ByteChunker, type ChunkLimit, FragmentChunker, type MadeChunk, sizeLimit } from './chunker.ts'
import { probe, remux, requireFfmpeg } from './ffmpeg.ts'
import { FragmentReader } from './fragments.ts'
import { checkLimit, type FilmPlan, planFilm, remuxOptions, type TrackPlan } from './track-plan.ts'

export interface SplitOptions {
  database: VideoDatabase
  /** A file, or standard input. */
  input: { path: string } | { stdin: Readable }
  name: string
  limit: ChunkLimit
  /** `auto`: fmp4 for films, bytes for the rest. */
  format: 'auto' | 'fmp4' | 'bytes'
  replace: boolean
  /** Encrypts the content under this key, which must be fresh. Default: it is stored as it is. */
  contentKey?: ContentKey
  signal?: AbortSignal
  /** Told of tracks that had to be re-encoded. */
  onReencode?(track: TrackPlan): void
  /** Bytes done; the total is that of the input, undefined when it is not known. */
  onProgress?(doneBytes: number, totalBytes: number | undefined): void
}

/** A file is read in pieces of so many bytes. */
const pieceBytes = 1024 * 1024

/** Publishes one input into a video database: all of it, or nothing. Memory does not grow with the input. */
export async function split(options: SplitOptions): Promise<Descriptor> {
  checkSizeLimit(options.limit)
  const { input, format } = options
  if ('stdin' in input) {
    if (format === 'fmp4')
      throw new Failure('bad-argument', 'standard input is published as bytes; give a film as a file')
    return splitBytes(options, { bytes: input.stdin, stop: () => input.stdin.destroy() }, '', undefined)
  }
  const sizeBytes = await inputSize(input.path)
  const plan = format === 'bytes' ? undefined : await planOf(input.path, format)
  if (plan) return splitFilm(options, plan, input.path, sizeBytes)
  return splitBytes(options, { bytes: piecesOf(input.path), stop() {} }, endingOf(input.path), sizeBytes)
}

async function planOf(path: string, format: 'auto' | 'fmp4'): Promise<FilmPlan | undefined> {
  await requireFfmpeg()
  const plan = planFilm(await probe(path))
  if (!plan && format === 'fmp4')
    throw new Failure('media', `${path} is no film that ffmpeg can read; publish it with --format bytes`)
  return plan
}

async function splitFilm(options: SplitOptions, plan: FilmPlan, path: string, totalBytes: number): Promise<Descriptor> {
  const { limit, signal, onProgress, onReencode } = options
  checkLimit(limit, 'fmp4')
  for (const track of plan.tracks) if (track.encodeTo) onReencode?.(track)
  const { output, kill } = remux(path, remuxOptions(plan, limit))
  const reader = new FragmentReader()
  let chunker: FragmentChunker | undefined
  let tracks: Track[] = []
  let endMs = 0
  return writing(options, kill, async (writer) => {
    const take = async (chunks: Iterable<MadeChunk>) => {
      for (const chunk of chunks) {
        await writer.append(chunk.bytes, chunk)
        endMs = Math.max(endMs, endOf(chunk, tracks))
      }
    }
    for await (const piece of output) {
      signal?.throwIfAborted()
      for (const event of reader.push(piece as Buffer)) {
        if (event.kind === 'init') {
          tracks = event.init.tracks
          chunker = new FragmentChunker(limit, videoOr(tracks), reservedBytes(options))
          await writer.setInit(event.bytes)
        } else if (event.kind === 'fragment') await take(chunker?.begin(event.head) ?? [])
        else await take(chunker?.push(event.bytes) ?? [])
      }
      onProgress?.(Math.min(writer.chunkBytes, totalBytes), totalBytes)
    }
    reader.end()
    await take(chunker?.end() ?? [])
    return { format: 'fmp4', ending: 'mp4', tracks, durationMs: Math.round(endMs) }
  })
}

async function splitBytes(
  options: SplitOptions,
  { bytes, stop }: { bytes: AsyncIterable<Buffer>; stop(): void },
  ending: string,
  totalBytes: number | undefined,
): Promise<Descriptor> {
  checkLimit(options.limit, 'bytes')
  const chunker = new ByteChunker(sizeLimit(options.limit, reservedBytes(options)))
  return writing(options, stop, async (writer) => {
    for await (const piece of bytes) {
      options.signal?.throwIfAborted()
      for (const chunk of chunker.push(piece)) await writer.append(chunk.bytes, chunk)
      options.onProgress?.(Math.min(writer.chunkBytes, totalBytes ?? Number.POSITIVE_INFINITY), totalBytes)
    }
    for (const chunk of chunker.end()) await writer.append(chunk.bytes, chunk)
    return { format: 'bytes', ending, tracks: [], durationMs: 0 }
  })
}

/** A file in pieces. The memory of a piece is used again for the next one. */
async function* piecesOf(path: string): AsyncIterable<Buffer> {
  const file = await open(path)
  const piece = Buffer.allocUnsafeSlow(pieceBytes)
  try {
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, null)
      if (bytesRead === 0) return
      yield piece.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

/** Publishes what `work` writes; when it fails or the signal aborts, `stop` ends the input and nothing is left. */
async function writing(
  { database, name, replace, contentKey, signal }: SplitOptions,
  stop: () => void,
  work: (writer: StreamWriter) => Promise<Parameters<StreamWriter['finish']>[0]>,
): Promise<Descriptor> {
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const writer = await database.create(name, { replace, contentKey })
    try {
      signal?.throwIfAborted()
      const ending = await work(writer)
      signal?.throwIfAborted()
      return await writer.finish(ending)
    } catch (error) {
      await writer.abort()
      throw signal?.aborted ? signal.reason : error
    }
  } finally {
    signal?.removeEventListener('abort', stop)
    stop()
  }
}

/** `-c` bounds chunks as they are stored. */
function reservedBytes({ contentKey }: SplitOptions): number {
  return contentKey ? tagBytes : 0
}

function checkSizeLimit(limit: ChunkLimit): void {
  if (!('sizeBytes' in limit)) return
  const { sizeBytes } = limit
  if (sizeBytes >= limits.minChunkBytes && sizeBytes <= limits.chunkBytes) return
  throw new Failure(
    'bad-argument',
    `expected -c to be between ${limits.minChunkBytes} bytes and ${limits.chunkBytes / 1024 ** 2}m, got ${sizeBytes} bytes`,
  )
}

async function inputSize(path: string): Promise<number> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw new Failure('bad-argument', `${path} is a directory, expected a file`)
    return found.size
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    throw new Failure(
      'bad-argument',
      `cannot read ${path}: ${errnoOf(cause) === 'ENOENT' ? 'there is no such file' : errnoOf(cause)}`,
      { cause },
    )
  }
}

/** Endings that the database itself uses would clash with its files. */
function endingOf(path: string): string {
  const ending = extname(path).slice(1)
  return /^[A-Za-z0-9]{1,16}$/.test(ending) && !['descriptor', 'pages'].includes(ending) ? ending : ''
}

function videoOr(tracks: Track[]): Track[] {
  const video = tracks.filter((track) => track.type === 'video')
  return video.length > 0 ? video : tracks
}

function endOf(chunk: MadeChunk, tracks: Track[]): number {
  return Math.max(
    0,
    ...chunk.times.map(
      ({ track, presentEnd }) =>
        (presentEnd / (tracks.find((one) => one.id === track)?.timescale ?? Number.POSITIVE_INFINITY)) * 1000,
    ),
  )
}
