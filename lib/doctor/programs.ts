import { encodersOfFfmpeg, howToInstallFfmpeg, versionOfProgram } from '../media/ffmpeg.ts'
import { copiedCodecs, encoders } from '../media/track-plan.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

/** The oldest Node that runs this, as package.json says. */
export const leastNode = '20.19'

export function judgeNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [leastMajor = 0, leastMinor = 0] = leastNode.split('.').map(Number)
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return ok('node', `Node ${version}`)
  return fail(
    'node',
    `Node ${version}, needed is ${leastNode} or newer`,
    "install a newer one from nodejs.org or your system's packages",
  )
}

/** Versions, undefined when the program cannot be run, and names of encoders. */
export interface FfmpegSeen {
  ffmpeg: string | undefined
  ffprobe: string | undefined
  encoders: ReadonlySet<string>
}

export async function lookAtFfmpeg(): Promise<FfmpegSeen> {
  const [ffmpeg, ffprobe, found] = await Promise.all([
    versionOfProgram('ffmpeg'),
    versionOfProgram('ffprobe'),
    encodersOfFfmpeg(),
  ])
  return { ffmpeg, ffprobe, encoders: found }
}

/** Only publishing needs ffmpeg: `publishes` is false on a machine that is a relay and no source. */
export function judgeFfmpeg(seen: FfmpegSeen, publishes: boolean): Finding[] {
  const missing = publishes ? fail : warn
  const programs = (['ffmpeg', 'ffprobe'] as const).map((program) => {
    const version = seen[program]
    return version === undefined
      ? missing(program, `${program} does not run: no file can be published from here`, howToInstallFfmpeg)
      : ok(program, `${program} ${version}`)
  })
  return seen.ffmpeg === undefined ? programs : [...programs, ...judgeEncoders(seen.encoders)]
}

function judgeEncoders(found: ReadonlySet<string>): Finding[] {
  const tracks = { video: 'picture', audio: 'sound' } as const
  return (['video', 'audio'] as const).map((type) => {
    const encoder = encoders[type]
    const copied = [...copiedCodecs[type]].join(', ')
    if (found.has(encoder)) return ok('encoder', `${encoder}, for films whose ${tracks[type]} is not ${copied}`)
    return warn(
      'encoder',
      `ffmpeg has no ${encoder}: films whose ${tracks[type]} is not ${copied} cannot be published as films`,
      `install an ffmpeg with ${encoder}, or publish those with --format bytes`,
    )
  })
}
