import { systemClock } from '../../lib/base/clock.ts'
import { Program } from '../../lib/cli/child-process.ts'
import type { NodeStats } from '../../lib/network/contract.ts'
import { Peers } from '../../lib/network/peers.ts'

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

  /** Starts `bin/node.js` with a free port unless `args` name one. */
  async node(name: string, args: string[]): Promise<NodeProgram> {
    const port = args.includes('--port') ? [] : ['--port', '0']
    const program = new Program(name, 'node.js', [
      '--name',
      name,
      '--ip',
      '127.0.0.1',
      '--json',
      '--log',
      'warn',
      ...port,
      ...args,
    ])
    this.#programs.push(program)
    const { address } = (await program.firstLine()) as { address: string }
    return { address, program, stats: () => this.#peers.at(address).stats() }
  }

  async close(): Promise<void> {
    await this.#peers.close()
    for (const program of this.#programs.splice(0).reverse()) {
      program.signal('SIGCONT')
      await program.stop()
    }
  }
}
