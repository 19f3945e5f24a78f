import { expect } from 'chai'
import { backoffMs } from '../../lib/base/backoff.ts'
import { pause } from '../../lib/base/clock.ts'
import { abortable, Deadline } from '../../lib/base/deadline.ts'
import { Failure, isFailure, toFailure } from '../../lib/base/errors.ts'
import { Lifecycle } from '../../lib/base/lifecycle.ts'
import { SingleFlight } from '../../lib/base/single-flight.ts'
import { VirtualClock } from '../../lib/base/virtual-clock.ts'
import { captureFailure } from '../support/failures.ts'

describe('failures', () => {
  it('keep their code, and take others as causes', () => {
    const known = new Failure('not-found', 'no film')
    expect(toFailure(known)).to.equal(known)
    const cause = new RangeError('odd')
    expect(toFailure(cause)).to.include({ code: 'internal', message: 'odd', cause })
    expect(isFailure(known, 'exists', 'not-found')).to.equal(true)
    expect(isFailure(known, 'exists')).to.equal(false)
    expect(isFailure(cause)).to.equal(false)
  })
})

describe('backoff', () => {
  it('doubles its bound up to the most, with full jitter', () => {
    const bounds = [0, 1, 2, 3, 10, 1000].map((attempt) => backoffMs(attempt, { firstMs: 100, maxMs: 5000 }, () => 1))
    expect(bounds).to.deep.equal([100, 200, 400, 800, 5000, 5000])
    expect(backoffMs(3, { firstMs: 100, maxMs: 5000 }, () => 0)).to.equal(0)
  })
})

describe('a deadline', () => {
  it('aborts at its time, or with its parent, and not when the work was done', async () => {
    const clock = new VirtualClock()
    const late = new Deadline(clock, 1000, 'the work')
    const done = new Deadline(clock, 1000, 'the work')
    const parent = new AbortController()
    const child = new Deadline(clock, 1000, 'the work', parent.signal)
    done.done()
    parent.abort(new Failure('aborted', 'enough'))
    expect(child.signal.reason).to.include({ code: 'aborted' })
    await clock.advance(400)
    expect(late.remainingMs()).to.equal(600)
    await clock.advance(600)
    expect(late.signal.reason).to.include({ code: 'timeout', message: 'the work did not end within 1000 ms' })
    expect(done.signal.aborted).to.equal(false)
  })

  it('lets who waits go while the work goes on', async () => {
    const abort = new AbortController()
    const waiting = abortable(new Promise(() => {}), abort.signal)
    abort.abort(new Failure('aborted', 'enough'))
    expect((await captureFailure(waiting)).code).to.equal('aborted')
    expect((await captureFailure(abortable(Promise.resolve(1), abort.signal))).code).to.equal('aborted')
    expect(await abortable(Promise.resolve(1), new AbortController().signal)).to.equal(1)
  })

  it('ends a pause early', async () => {
    const clock = new VirtualClock()
    const abort = new AbortController()
    const paused = pause(clock, 1000, abort.signal)
    abort.abort(new Failure('aborted', 'enough'))
    expect((await captureFailure(paused)).code).to.equal('aborted')
  })
})

describe('single flight', () => {
  it('does work once for all who ask meanwhile, and again for who asks later', async () => {
    const flights = new SingleFlight<string, number>()
    let runs = 0
    const work = async () => ++runs
    expect(await Promise.all([flights.run('a', work), flights.run('a', work), flights.run('b', work)])).to.deep.equal([
      1, 1, 2,
    ])
    expect(await flights.run('a', work)).to.equal(3)
    expect(flights.size).to.equal(0)
  })

  it('gives a failure to all who waited, and keeps none', async () => {
    const flights = new SingleFlight<string, number>()
    const fail = () => Promise.reject(new Failure('timeout', 'late'))
    const both = await Promise.all([captureFailure(flights.run('a', fail)), captureFailure(flights.run('a', fail))])
    expect(both[0]).to.equal(both[1])
    expect(await flights.run('a', async () => 7)).to.equal(7)
  })
})

describe('a lifecycle', () => {
  it('closes in reverse, once, even when one fails', async () => {
    const closed: string[] = []
    const lifecycle = new Lifecycle()
    for (const name of ['first', 'second', 'third']) {
      lifecycle.onClose(() => {
        closed.push(name)
        if (name === 'second') throw new Failure('internal', 'stuck')
      })
    }
    const both = await Promise.all([captureFailure(lifecycle.close()), captureFailure(lifecycle.close())])
    expect(both[0]?.message).to.equal('stuck')
    expect(closed).to.deep.equal(['third', 'second', 'first'])
  })
})
