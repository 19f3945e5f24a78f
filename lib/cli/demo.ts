import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Clock, systemClock } from '../base/clock.ts'
import { Failure } from '../base/errors.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import { formatBytes, formatDuration } from '../base/units.ts'
import { makeFilm } from '../media/ffmpeg.ts'
import { split } from '../media/split.ts'
import type { NodeStats } from '../network/contract.ts'
import { Peer } from '../network/peer.ts'
import { streamFiles } from '../store/published-stream.ts'
import { VideoDatabase } from '../store/video-database.ts'
import type { Descriptor } from '../stream/descriptor.ts'
import { formatLink } from '../stream/links.ts'
import { table } from './ask-node.ts'
import { Program } from './child-process.ts'
import type { Command } from './command.ts'
import { Interrupted, signalToStop } from './run.ts'

interface DemoArguments {
  video?: string
  stay?: boolean
  json?: boolean
}

/** The tree of the ancestor: each relay with its masters, nearest first. */
const tree = [
  { name: 'mit', masters: ['source'] },
  { name: 'harvard', masters: ['source'] },
  { name: 'ben', masters: ['mit', 'source'] },
  { name: 'alyssa', masters: ['mit', 'source'] },
  { name: 'john', masters: ['harvard', 'source'] },
  { name: 'lawrence', masters: ['harvard', 'source'] },
] as const
const leaves = ['ben', 'alyssa', 'john', 'lawrence']

/** More copies than this from the source and the relays did not share. */
const mostCopies = 1.1
const film = { name: 'film', seconds: 60, bitsPerSecond: 5_000_000 }

/** `peerstreamer demo`: a film through six relays to four screens, each byte checked. */
export const demoCommand: Command<DemoArguments> = {
  name: 'demo',
  describe: 'Show all of it: a film through six relays to four screens',
  usage: '[--video film.mp4] [--stay]',
  examples: [
    ['$0', 'with a film that is made for it'],
    ['$0 --video film.mp4 --stay', 'with a film of yours, and leave the tree running'],
  ],
  options: ['video', 'stay', 'json'],
  run: async (args) => {
    const demo = new Demo(args, signalToStop())
    try {
      await demo.run()
    } finally {
      await demo.close()
    }
  },
}

class Demo {
  readonly #args: DemoArguments
  readonly #signal: AbortSignal
  readonly #clock: Clock = systemClock
  readonly #lifecycle = new Lifecycle()
  readonly #addresses = new Map<string, string>()

  constructor(args: DemoArguments, signal: AbortSignal) {
    this.#args = args
    this.#signal = signal
  }

  close(): Promise<void> {
    return this.#lifecycle.close()
  }

  async run(): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'peerstreamer-demo-'))
    this.#lifecycle.onClose(() => rm(folder, { recursive: true, force: true }))
    const descriptor = await this.#publish(folder)
    await this.#startTree(folder)
    const outputs = await this.#stream(folder, descriptor)
    await this.#check(folder, descriptor, outputs)
    const stats = await this.#stats()
    const copies = (stats.get('source')?.bytesSent ?? 0) / descriptor.mediaBytes
    this.#report(stats, descriptor.mediaBytes, copies)
    if (copies > mostCopies)
      throw new Failure('internal', `the source sent ${copies.toFixed(2)} copies, expected at most ${mostCopies}`)
    if (this.#args.stay) await this.#stay(descriptor)
  }

  async #publish(folder: string): Promise<Descriptor> {
    const made = join(folder, 'made.mp4')
    if (this.#args.video === undefined) {
      this.#say(`making a film of ${film.seconds} s ...`)
      await makeFilm(made, film, this.#signal)
    }
    const path = this.#args.video ?? made
    const database = this.#lifecycle.own(await VideoDatabase.open(join(folder, 'video_data'), { create: true }))
    const descriptor = await split({
      database,
      input: { path },
      name: film.name,
      limit: { sizeBytes: 1024 * 1024 },
      format: 'auto',
      replace: false,
      signal: this.#signal,
      onReencode: ({ type, codec, encodeTo }) =>
        this.#say(`the ${type} track is ${codec}; it is re-encoded to ${encodeTo}`),
    })
    await rm(made, { force: true })
    const { chunkCount, mediaBytes, fields } = descriptor
    this.#say(
      `published ${film.name}: ${chunkCount} chunks, ${formatBytes(mediaBytes)}, ${formatDuration(fields.durationMs)}`,
    )
    return descriptor
  }

  async #startTree(folder: string): Promise<void> {
    await this.#startNode('source', ['--videodatabase', join(folder, 'video_data')])
    for (const level of [
      tree.filter(({ masters }) => masters.length === 1),
      tree.filter(({ masters }) => masters.length > 1),
    ]) {
      await Promise.all(
        level.map(({ name, masters }) => {
          const [master = '', ...above] = masters.map((one) => this.#addresses.get(one) ?? '')
          const up = ['--master', master, ...above.flatMap((address) => ['--supermaster', address])]
          return this.#startNode(name, ['--chunkdirectory', join(folder, 'chunks', name), ...up])
        }),
      )
    }
    this.#say('the tree is up: source <- mit <- ben, alyssa; source <- harvard <- john, lawrence')
  }

  async #startNode(name: string, args: string[]): Promise<void> {
    this.#signal.throwIfAborted()
    const program = new Program(name, 'node.js', ['--name', name, '--port', '0', '--json', '--log', 'warn', ...args])
    this.#lifecycle.onClose(() => program.stop())
    const { address } = await program.firstLine()
    this.#addresses.set(name, String(address))
  }

  /** Four streamers at once; resolves with the files that they wrote. */
  async #stream(folder: string, { mediaBytes }: Descriptor): Promise<Map<string, string>> {
    const outputs = new Map(leaves.map((name) => [name, join(folder, `${name}.out`)]))
    const stopProgress = this.#showProgress(outputs, mediaBytes)
    const startedAt = this.#clock.now()
    try {
      await Promise.all(
        [...outputs].map(async ([name, path]) => {
          const program = new Program(`streamer at ${name}`, 'video_streamer.js', [
            ...['--source', this.#addresses.get(name) ?? '', '--filename', film.name, '--output', path],
          ])
          this.#lifecycle.onClose(() => program.stop(1000))
          const stop = () => void program.stop(1000)
          this.#signal.addEventListener('abort', stop, { once: true })
          const code = await program.ended
          this.#signal.removeEventListener('abort', stop)
          this.#signal.throwIfAborted()
          if (code !== 0) throw new Failure('internal', `the streamer at ${name} ended with ${code}: ${program.errors}`)
        }),
      )
    } finally {
      stopProgress()
    }
    this.#say(`four streamers took it at once in ${((this.#clock.now() - startedAt) / 1000).toFixed(1)} s`)
    return outputs
  }

  #showProgress(outputs: Map<string, string>, mediaBytes: number): () => void {
    let cancel = () => {}
    let isOver = false
    const show = async () => {
      const shares = await Promise.all(
        [...outputs].map(async ([name, path]) => {
          const size = await stat(path).then(
            (found) => found.size,
            () => 0,
          )
          return `${name} ${Math.floor((size / mediaBytes) * 100)} %`
        }),
      )
      if (isOver) return
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${shares.join('   ')}`)
      else this.#say(shares.join('   '))
      cancel = this.#clock.after(process.stderr.isTTY ? 100 : 1000, show)
    }
    void show()
    return () => {
      isOver = true
      cancel()
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
    }
  }

  async #check(folder: string, descriptor: Descriptor, outputs: Map<string, string>): Promise<void> {
    const published = streamFiles(join(folder, 'video_data', film.name), film.name, descriptor.fields.ending).media
    const wanted = await digestOfFile(published)
    for (const [name, path] of outputs) {
      if ((await digestOfFile(path)) !== wanted)
        throw new Failure('internal', `what the streamer at ${name} wrote is not what was published`)
    }
    this.#say(`all four outputs equal the published film (sha256 ${wanted.slice(0, 16)}...)`)
  }

  async #stats(): Promise<Map<string, NodeStats>> {
    const stats = new Map<string, NodeStats>()
    for (const [name, address] of this.#addresses) {
      const peer = new Peer(address)
      stats.set(name, await peer.stats({ timeoutMs: 5000 }))
      await peer.close()
    }
    return stats
  }

  #report(stats: Map<string, NodeStats>, mediaBytes: number, copies: number): void {
    if (this.#args.json) {
      process.stdout.write(`${JSON.stringify({ mediaBytes, copies, nodes: [...stats.values()] })}\n`)
      return
    }
    const rows = [...stats.values()].map(({ name, bytesFrom, bytesSent }) => [
      name,
      formatBytes(bytesFrom.master),
      formatBytes(bytesFrom.sibling),
      formatBytes(bytesFrom.supermaster),
      formatBytes(bytesSent),
    ])
    process.stdout.write(`\n${table(['node', 'from master', 'from siblings', 'from supermaster', 'sent'], rows)}`)
    process.stdout.write(`\nthe source sent the film ${copies.toFixed(2)} times for four screens\n`)
  }

  async #stay({ publicKey }: Descriptor): Promise<void> {
    const source = this.#addresses.get('source') ?? ''
    const leaf = this.#addresses.get('lawrence') ?? ''
    const link = formatLink(leaf, film.name, publicKey)
    process.stdout.write(`
the tree is running; try these in another terminal, and end it here with Ctrl-C:
  bin/peerstreamer list ${source}
  bin/peerstreamer stats ${leaf}
  bin/video_streamer.js --source '${link}' --output copy.mp4
  bin/video_streamer.js --source '${link}' --realtime --player ffplay
`)
    await new Promise((resolve) => {
      if (this.#signal.aborted) resolve(undefined)
      this.#signal.addEventListener('abort', resolve, { once: true })
    })
    // Ctrl-C is how a tree that stays is meant to end.
    if (!(this.#signal.reason instanceof Interrupted)) throw this.#signal.reason
  }

  #say(text: string): void {
    process.stderr.write(`${text}\n`)
  }
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
