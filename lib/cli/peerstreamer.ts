import type { Command } from './command.ts'
import { runCommand, runFrontDoor } from './run.ts'

/** Each is loaded when it is run: code that a node does not run would cost it memory, and each collection of its heap time. */
const commands = {
  split: async () => (await import('./split-video.ts')).splitCommand,
  publish: async () => (await import('./publish.ts')).publishCommand,
  node: async () => (await import('./node.ts')).nodeCommand,
  stream: async () => (await import('./stream.ts')).streamCommand,
  list: async () => (await import('./ask-node.ts')).listCommand,
  stats: async () => (await import('./ask-node.ts')).statsCommand,
  keygen: async () => (await import('./keygen.ts')).keygenCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
  demo: async () => (await import('./demo.ts')).demoCommand,
} satisfies Record<string, () => Promise<Command<never>>>

/** `peerstreamer split|publish|node|stream|list|stats|keygen|doctor|demo`. */
export async function peerstreamer(): Promise<void> {
  const [, , word = ''] = process.argv
  const isNamed = (name: string): name is keyof typeof commands => Object.hasOwn(commands, name)
  const wanted: (() => Promise<Command<never>>)[] = isNamed(word) ? [commands[word]] : Object.values(commands)
  await runFrontDoor(await Promise.all(wanted.map((load) => load())))
}

/** The programs of their own. */
export const splitVideo = async () => runCommand('split_video', await commands.split())
export const node = async () => runCommand('node.js', await commands.node())
export const videoStreamer = async () => runCommand('video_streamer.js', await commands.stream())
