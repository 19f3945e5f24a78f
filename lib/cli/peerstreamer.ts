import { listCommand, statsCommand } from './ask-node.ts'
import { demoCommand } from './demo.ts'
import { doctorCommand } from './doctor.ts'
import { keygenCommand } from './keygen.ts'
import { nodeCommand } from './node.ts'
import { publishCommand } from './publish.ts'
import { runCommand, runFrontDoor } from './run.ts'
import { splitCommand } from './split-video.ts'
import { streamCommand } from './stream.ts'

/** `peerstreamer split|publish|node|stream|list|stats|keygen|doctor|demo`. */
export const peerstreamer = () =>
  runFrontDoor([
    splitCommand,
    publishCommand,
    nodeCommand,
    streamCommand,
    listCommand,
    statsCommand,
    keygenCommand,
    doctorCommand,
    demoCommand,
  ])

/** The programs of their own. */
export const splitVideo = () => runCommand('split_video', splitCommand)
export const node = () => runCommand('node.js', nodeCommand)
export const videoStreamer = () => runCommand('video_streamer.js', streamCommand)
