import { expect } from 'chai'
import { VirtualClock } from '../../lib/base/virtual-clock.ts'
import { Peer } from '../../lib/network/peer.ts'
import { type Handler, RpcServer } from '../../lib/zerorpc/index.ts'
import { until } from '../support/until.ts'

/** A node that takes pings and answers none, but other calls. */
async function muteNode() {
  /** The connection that each ping came on. */
  const pings: string[] = []
  const never = new Promise(() => {})
  const ping: Handler = (_, { peer }) => {
    pings.push(peer)
    return never
  }
  const server = new RpcServer({
    methods: new Map([
      ['ping', { handle: ping }],
      ['list', { handle: () => [] }],
      ['get', { handle: () => ({ status: 'absent' }) }],
    ]),
  })
  return { server, pings, address: await server.bind('tcp://127.0.0.1:*') }
}

describe('a node that answers no ping', () => {
  const open: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close()
  })

  async function setUp() {
    const clock = new VirtualClock()
    const { server, pings, address } = await muteNode()
    const peer = new Peer(address, clock)
    open.push(peer, server)
    const asked = (count: number) =>
      until(
        `ping ${count}`,
        () => pings.length,
        (length) => length === count,
      )
    await peer.list()
    await clock.advance(10)
    return { clock, peer, pings, asked }
  }

  it('is dead when nothing else comes from it either', async () => {
    const { clock, peer, asked } = await setUp()
    const lives = peer.ping(700)
    await asked(1)
    await clock.advance(700)
    expect(await lives).to.equal(false)
  })

  it('is asked again when something else came, and is dead when nothing comes then', async () => {
    const { clock, peer, asked } = await setUp()
    const lives = peer.ping(700)
    await asked(1)
    await peer.list()
    await clock.advance(700)
    await asked(2)
    await clock.advance(700)
    expect(await lives).to.equal(false)
  })

  it('lives when other answers keep coming: it is only busy', async () => {
    const { clock, peer, pings, asked } = await setUp()
    const lives = peer.ping(700)
    for (const count of [1, 2]) {
      await asked(count)
      await peer.list()
      await clock.advance(700)
    }
    expect(await lives).to.equal(true)
    expect(new Set(pings), 'connections').to.have.lengthOf(1)
  })

  it('is connected to anew where only chunks keep coming', async () => {
    const { clock, peer, pings, asked } = await setUp()
    const lives = peer.ping(700)
    for (const count of [1, 2]) {
      await asked(count)
      await peer.get('film', 0, {})
      await clock.advance(700)
    }
    expect(await lives).to.equal(true)
    void peer.ping(700)
    await asked(3)
    expect(new Set(pings), 'connections').to.have.lengthOf(2)
  })
})
