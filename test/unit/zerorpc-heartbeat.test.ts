import { expect } from 'chai'
import { VirtualClock } from '../../lib/base/virtual-clock.ts'
import { type Beating, Heartbeat } from '../../lib/zerorpc/heartbeat.ts'

describe('the heartbeat of channels', () => {
  let clock: VirtualClock
  let heartbeat: Heartbeat
  beforeEach(() => {
    clock = new VirtualClock()
    heartbeat = new Heartbeat(clock, { heartbeatMs: 1000 })
  })

  it('beats once an interval, and calls a channel lost after two of silence', async () => {
    const channel = makeChannel()
    heartbeat.add(channel)
    await clock.advance(1900)
    expect(channel).to.include({ beats: 1, losses: 0 })
    await clock.advance(600)
    expect(channel.losses).to.equal(1)
    await clock.advance(5000)
    expect(channel.losses).to.equal(1)
  })

  it('waits longer for a sign of life where it is told to, and beats as often', async () => {
    heartbeat = new Heartbeat(clock, { heartbeatMs: 1000, lostAfterMs: 10_000 })
    const channel = makeChannel()
    heartbeat.add(channel)
    await clock.advance(9500)
    expect(channel.losses).to.equal(0)
    expect(channel.beats).to.be.within(8, 9)
    await clock.advance(1000)
    expect(channel.losses).to.equal(1)
  })

  it('keeps a channel on which something is heard', async () => {
    const channel = makeChannel()
    heartbeat.add(channel)
    for (let i = 0; i < 10; i++) {
      await clock.advance(1500)
      channel.heardAt = clock.now()
    }
    expect(channel.losses).to.equal(0)
    expect(channel.beats).to.be.within(9, 15)
  })

  it('does not call channels lost because this process stood still', async () => {
    const channel = makeChannel()
    heartbeat.add(channel)
    await clock.advance(400)
    clock.jump(60_000)
    await clock.advance(600)
    expect(channel.losses).to.equal(0)
    await clock.advance(3000)
    expect(channel.losses).to.equal(1)
  })

  it('loses the silent channel alone when others are heard', async () => {
    const silent = makeChannel()
    const lively = makeChannel()
    heartbeat.add(silent)
    heartbeat.add(lively)
    for (let i = 0; i < 6; i++) {
      await clock.advance(500)
      lively.heardAt = clock.now()
    }
    expect(silent.losses).to.equal(1)
    expect(lively.losses).to.equal(0)
  })

  it('serves a channel that comes after all others ended', async () => {
    const first = makeChannel()
    heartbeat.add(first)
    heartbeat.remove(first)
    await clock.advance(60_000)
    const second = makeChannel()
    heartbeat.add(second)
    await clock.advance(1500)
    expect(second).to.include({ beats: 1, losses: 0 })
    await clock.advance(1000)
    expect(second.losses).to.equal(1)
  })

  it('is still once closed', async () => {
    const channel = makeChannel()
    heartbeat.add(channel)
    heartbeat.close()
    await clock.advance(5000)
    expect(channel).to.include({ beats: 0, losses: 0 })
  })

  it('forgets a channel that ended', async () => {
    const channel = makeChannel()
    heartbeat.add(channel)
    heartbeat.remove(channel)
    await clock.advance(5000)
    expect(channel).to.include({ beats: 0, losses: 0 })
  })

  function makeChannel(): Beating & { beats: number; losses: number } {
    return {
      heardAt: clock.now(),
      beatAt: clock.now(),
      beats: 0,
      losses: 0,
      beat() {
        this.beats++
      },
      lost() {
        this.losses++
      },
    }
  }
})
