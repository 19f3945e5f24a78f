import type { CommandModule } from 'yargs'
import { listCommand, statsCommand } from './ask-node.ts'
import { demoCommand } from './demo.ts'
import { nodeCommand } from './node.ts'
import { runCommand, runFrontDoor } from './run.ts'
import { splitCommand } from './split-video.ts'
import { streamCommand } from './stream.ts'

/** `peerstreamer split|node|stream|list|stats|demo`. */
export function peerstreamer(): Promise<void> {
  return runFrontDoor([
    splitCommand,
    nodeCommand,
    streamCommand,
    listCommand,
    statsCommand,
    demoCommand,
  ] as CommandModule[])
}

/** The programs of their own. */
export const splitVideo = () => runCommand('split_video', splitCommand as CommandModule)
export const node = () => runCommand('node.js', nodeCommand as CommandModule)
export const videoStreamer = () => runCommand('video_streamer.js', streamCommand as CommandModule)
