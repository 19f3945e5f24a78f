import { systemClock } from '../../lib/base/clock.ts'
import { Program } from '../../lib/cli/child-process.ts'
import type { NodeStats } from '../../lib/network/contract.ts'
import { Peers } from '../../lib/network/peers.ts'
import { splitAddress } from '../../lib/stream/address.ts'

/** How a program is started: through a command before it, with more in its environment. */
export interface LaunchOptions {
  launcher?: string[]
  env?: Record<string, string>
}

/** A node in a process of its own, which can be killed. */
export interface NodeProgram {
  address: string
  program: Program
  stats(): Promise<NodeStats>
}

/** Programs of one test; `close` ends them all. */
export class TestPrograms {
  readonly #programs: Program[] = []
  readonly #peers = new Peers(systemClock)

  /** Starts `bin/node.js` on loopback with a free port unless `args` name others. */
  async node(name: string, args: string[], options: LaunchOptions = {}): Promise<NodeProgram> {
    const port = args.includes('--port') ? [] : ['--port', '0']
    const ip = args.includes('--ip') ? [] : ['--ip', '127.0.0.1']
    const fixed = ['--name', name, '--json', '--log', 'warn']
    const program = new Program(name, 'node.js', [...fixed, ...ip, ...port, ...args], options)
    this.#programs.push(program)
    const { address } = (await program.firstLine()) as { address: string }
    return { address, program, stats: () => this.#peers.at(address).stats() }
  }

  /** Starts `bin/video_streamer.js`. */
  streamer(args: string[], options: LaunchOptions = {}): Program {
    const program = new Program('streamer', 'video_streamer.js', args, options)
    this.#programs.push(program)
    return program
  }

  async close(): Promise<void> {
    await this.#peers.close()
    for (const program of this.#programs.splice(0).reverse()) {
      program.signal('SIGCONT')
      await program.stop()
    }
  }
}

/** A node that is killed and comes back at its address. */
export class MortalNode {
  readonly #programs: TestPrograms
  readonly #name: string
  readonly #args: string[]
  readonly #options: LaunchOptions
  #node: NodeProgram

  private constructor(programs: TestPrograms, name: string, args: string[], options: LaunchOptions, node: NodeProgram) {
    this.#programs = programs
    this.#name = name
    this.#args = args
    this.#options = options
    this.#node = node
  }

  static async start(
    programs: TestPrograms,
    name: string,
    args: string[],
    options: LaunchOptions = {},
  ): Promise<MortalNode> {
    return new MortalNode(programs, name, args, options, await programs.node(name, args, options))
  }

  get name(): string {
    return this.#name
  }

  get pid(): string {
    return String(this.#node.program.pid)
  }

  get address(): string {
    return this.#node.address
  }

  stats(): Promise<NodeStats> {
    return this.#node.stats()
  }

  signal(signal: NodeJS.Signals): void {
    this.#node.program.signal(signal)
  }

  /** Ends it with SIGTERM. */
  stop(): Promise<void> {
    return this.#node.program.stop()
  }

  async kill(): Promise<void> {
    this.#node.program.signal('SIGKILL')
    await this.#node.program.ended
  }

  async startAgain(): Promise<void> {
    const port = ['--port', String(splitAddress(this.address).port)]
    this.#node = await this.#programs.node(this.#name, [...this.#args, ...port], this.#options)
  }
}
