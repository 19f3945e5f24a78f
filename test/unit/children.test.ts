import { expect } from 'chai'
import { limits } from '../../lib/base/limits.ts'
import { silentLogger } from '../../lib/base/log.ts'
import { VirtualClock } from '../../lib/base/virtual-clock.ts'
import { Peers } from '../../lib/network/peers.ts'
import { Children } from '../../lib/node/children.ts'

const mib = 1024 * 1024

describe('what a streamer may have on its way at a node', () => {
  const clock = new VirtualClock()
  let children: Children

  beforeEach(() => {
    const self = () => 'tcp://127.0.0.1:1' as const
    children = new Children({ clock, log: silentLogger, peers: new Peers(clock), self, chain: () => [] })
  })
  afterEach(() => children.close())

  const join = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, at) => children.register({ name: `streamer-${at}` })))

  it('is a whole window for one or two, then an even share, and never less than a run', async () => {
    expect(children.streamerWindowBytes).to.equal(limits.windowBytes)
    await join(2)
    expect(children.streamerWindowBytes).to.equal(8 * mib)
    await join(4)
    expect(children.streamerWindowBytes).to.equal(4 * mib)
    await join(100)
    expect(children.streamerWindowBytes).to.equal(limits.runBytes)
  })

  it('grows again when others leave, fall silent or come back under the same name', async () => {
    const leases = await join(4)
    await join(4)
    expect(children.streamerWindowBytes, 'the newest lease of a name wins').to.equal(4 * mib)
    for (const { id } of leases) children.leave(id)
    expect(children.streamerWindowBytes, 'those left already').to.equal(4 * mib)
    await clock.advance(limits.leaseMs * 2)
    expect(children.streamerWindowBytes).to.equal(limits.windowBytes)
  })
})
