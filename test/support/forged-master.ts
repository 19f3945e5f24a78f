import { systemClock } from '../../lib/base/clock.ts'
import { Peers } from '../../lib/network/peers.ts'
import type { Address } from '../../lib/stream/address.ts'
import { RpcServer } from '../../lib/zerorpc/index.ts'

type Answers = Record<string, (args: unknown[]) => unknown>

/** A master of a test's own making: it takes children and answers as `source` does, but for `answers`, and it gives no chunks. */
export class ForgedMaster {
  readonly #peers = new Peers(systemClock)
  readonly #server: RpcServer
  address = ''

  private constructor(source: Address, answers: Answers) {
    const all: Answers = {
      ping: () => null,
      register: () => ({ lease: 'lease', leaseMs: 10_000, name: 'forged', chain: [source] }),
      renew: () => null,
      report: () => null,
      leave: () => null,
      query: ([, first, count]) => [{ first, end: Number(first) + Number(count), peers: [] }],
      describe: ([name]) => this.#peers.at(source).describe(String(name)),
      list: () => this.#peers.at(source).list(),
      ...answers,
    }
    this.#server = new RpcServer({ methods: new Map(Object.entries(all).map(([name, handle]) => [name, { handle }])) })
  }

  static async start(source: Address, answers: Answers): Promise<ForgedMaster> {
    const master = new ForgedMaster(source, answers)
    master.address = await master.#server.bind('tcp://127.0.0.1:*')
    return master
  }

  async close(): Promise<void> {
    await this.#server.close()
    await this.#peers.close()
  }
}
