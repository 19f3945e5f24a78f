import { Failure } from '../base/errors.ts'
import type { ChunkLimit } from './chunker.ts'
import type { Probe, ProbedStream } from './ffmpeg.ts'

/** What fMP4 carries and browsers or players commonly decode: copied. Everything else is re-encoded. */
export const copiedCodecs = {
  video: new Set(['h264', 'hevc', 'vp9', 'av1']),
  audio: new Set(['aac', 'mp3', 'ac3', 'eac3', 'opus', 'flac', 'alac']),
}

/** ffmpeg's encoders for everything else. */
export const encoders = { video: 'libx264', audio: 'aac' } as const

/** Formats that ffprobe finds in what is no film: texts, pictures, subtitles. */
const notFilms = /^(tty|image2|gif|apng|ico|srt|ass|webvtt|lrc|aqtitle|microdvd|jacosub|.*_pipe)$/
/** ffprobe is half sure from here on (AVPROBE_SCORE_EXTENSION); below it random bytes pass for sound. */
const leastScore = 50

export interface TrackPlan {
  index: number
  type: 'video' | 'audio'
  codec: string
  /** What it is re-encoded to; undefined: copied. */
  encodeTo: string | undefined
}

export interface FilmPlan {
  tracks: TrackPlan[]
  durationMs: number
}

/** The tracks to publish of a film: the first picture that is no cover, and the first sound. Undefined: it is no film. Pure. */
export function planFilm(probe: Probe | undefined): FilmPlan | undefined {
  if (!probe) return undefined
  const { format, streams } = probe
  const names = (format.format_name ?? '').split(',')
  if (names.some((name) => notFilms.test(name)) || Number(format.probe_score ?? 0) < leastScore) return undefined
  const video = streams.find((stream) => stream.codec_type === 'video' && !isCover(stream))
  const audio = streams.find((stream) => stream.codec_type === 'audio' && stream.codec_name !== undefined)
  const tracks = [video, audio].filter((stream) => stream !== undefined).map(planTrack)
  if (tracks.length === 0) return undefined
  return { tracks, durationMs: Math.max(0, Number(format.duration ?? 0) * 1000 || 0) }
}

function isCover({ disposition, codec_name: codec }: ProbedStream): boolean {
  const { attached_pic: attached, timed_thumbnails: thumbnails } = (disposition ?? {}) as Record<string, number>
  return attached === 1 || thumbnails === 1 || codec === undefined
}

function planTrack({ index, codec_type, codec_name }: ProbedStream): TrackPlan {
  const type = codec_type === 'video' ? 'video' : 'audio'
  const codec = codec_name ?? ''
  return { index, type, codec, encodeTo: copiedCodecs[type].has(codec) ? undefined : type === 'video' ? 'h264' : 'aac' }
}

/** A group of pictures without end must not fill ffmpeg's memory: a fragment ends here at the latest, ms. */
const longestFragmentMs = 20_000
/** Sound alone has no keyframes to cut at, ms. */
const soundFragmentMs = 2000
export const shortestChunkMs = 100

/**
 * ffmpeg's options for fragmented MP4. The recipe keeps every frame and shifts all tracks by one constant; each part of it
 * is there because readers see wrong times without it (docs/decisions/0003-remux-recipe.md).
 */
export function remuxOptions({ tracks }: FilmPlan, limit: ChunkLimit): string[] {
  const video = tracks.find((track) => track.type === 'video')
  const audio = tracks.find((track) => track.type === 'audio')
  const fragmentMs = Math.min(
    video ? longestFragmentMs : soundFragmentMs,
    'durationMs' in limit ? limit.durationMs / 2 : Number.POSITIVE_INFINITY,
  )
  return [
    ...tracks.flatMap((track) => ['-map', `0:${track.index}`]),
    ...['-sn', '-dn', '-map_chapters', '-1', '-map_metadata', '-1'],
    ...(video ? videoOptions(video) : []),
    ...(audio ? audioOptions(audio) : []),
    ...['-strict', '-2', '-write_tmcd', '0', '-use_editlist', '0', '-avoid_negative_ts', 'make_non_negative'],
    ...['-frag_duration', String(Math.round(fragmentMs * 1000))],
    ...['-movflags', 'frag_keyframe+delay_moov+default_base_moof+frag_discont+skip_trailer'],
  ]
}

function videoOptions({ codec, encodeTo }: TrackPlan): string[] {
  if (encodeTo)
    return [
      '-c:v',
      encoders.video,
      '-preset',
      'veryfast',
      '-crf',
      '20',
      '-pix_fmt',
      'yuv420p',
      '-x264-params',
      'open-gop=0',
    ]
  // Players of one vendor take HEVC only under this tag.
  return ['-c:v', 'copy', ...(codec === 'hevc' ? ['-tag:v', 'hvc1'] : [])]
}

function audioOptions({ codec, encodeTo }: TrackPlan): string[] {
  if (encodeTo) return ['-c:a', encoders.audio, '-b:a', '160k']
  return ['-c:a', 'copy', ...(codec === 'aac' ? ['-bsf:a', 'aac_adtstoasc'] : [])]
}

/** A limit that the chunks of this input can keep. Throws `bad-argument`. */
export function checkLimit(limit: ChunkLimit, format: 'fmp4' | 'bytes'): void {
  if (!('durationMs' in limit)) return
  if (format === 'bytes') throw new Failure('bad-argument', 'plain bytes have no times; give -c as a size such as 1m')
  if (limit.durationMs < shortestChunkMs) {
    throw new Failure('bad-argument', `expected -c to be at least ${shortestChunkMs} ms, got ${limit.durationMs} ms`)
  }
}
