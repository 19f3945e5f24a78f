import { readdir } from 'node:fs/promises'
import { encode } from '@msgpack/msgpack'
import { expect } from 'chai'
import { Dealer, Router } from 'zeromq'
import { Failure } from '../../lib/base/errors.ts'
import { VirtualClock } from '../../lib/base/virtual-clock.ts'
import { decodeEvent, encodeEvent } from '../../lib/zerorpc/event.ts'
import {
  type Handler,
  type Reply,
  RpcClient,
  type RpcOptions,
  RpcServer,
  type RpcServerOptions,
  WithPayload,
} from '../../lib/zerorpc/index.ts'
import { captureFailure } from '../support/failures.ts'
import { seededBytes, seededChance } from '../support/seeded.ts'
import { until } from '../support/until.ts'

describe('a zerorpc client and server', () => {
  const open: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close()
  })

  async function connect(methods: Record<string, Handler>, options: Partial<RpcServerOptions> = {}) {
    const table = new Map(Object.entries(methods).map(([name, handle]) => [name, { handle }]))
    const server = new RpcServer({ methods: table, name: 'test', ...options })
    const endpoint = await server.bind('tcp://127.0.0.1:*')
    const client = new RpcClient(endpoint)
    open.push(server, client)
    return { server, client, endpoint }
  }

  it('carry a call and its answer, of any msgpack type', async () => {
    const { client } = await connect({ echo: ([value]) => value })
    for (const value of [
      0,
      -1,
      2 ** 40,
      1.5,
      'text',
      '',
      true,
      null,
      [1, [2]],
      { a: { b: 1 } },
      Buffer.from([1, 2, 3]),
    ]) {
      const { value: got } = await client.call('echo', [value])
      expect(Buffer.isBuffer(value) ? Buffer.from(got as Uint8Array) : got).to.deep.equal(value)
    }
  })

  it('leave no file descriptor behind, whether or not somebody listened to the connection', async () => {
    const { client, endpoint } = await connect({ echo: ([value]) => value })
    await client.call('echo', [1])
    const before = (await readdir('/proc/self/fd')).length
    for (let at = 0; at < 20; at++) {
      const other = new RpcClient(endpoint)
      if (at % 2 === 0) other.onDisconnect(() => {})
      await other.call('echo', [at])
      await other.close()
    }
    await until(
      'descriptors to be closed',
      async () => (await readdir('/proc/self/fd')).length,
      (count) => count <= before + 5,
    )
  })

  it('have many calls in flight on one connection, answered in any order', async () => {
    const waiting = new Map<number, () => void>()
    const { client } = await connect({
      later: ([n]) => new Promise((resolve) => waiting.set(n as number, () => resolve((n as number) * 2))),
    })
    const calls = Array.from({ length: 200 }, (_, n) => client.call('later', [n]))
    await until(
      'all to arrive',
      () => waiting.size,
      (size) => size === 200,
    )
    for (const n of [...waiting.keys()].reverse()) waiting.get(n)?.()
    expect((await Promise.all(calls)).map(({ value }) => value)).to.deep.equal(
      Array.from({ length: 200 }, (_, n) => n * 2),
    )
  })

  it('stream values in order, and hold the server back when the reader is slow', async () => {
    let produced = 0
    const { client } = await connect({
      echo: ([value]) => value,
      count: async function* ([upTo]) {
        for (let n = 0; n < (upTo as number); n++) {
          produced++
          yield n
        }
      },
    })
    const seen: unknown[] = []
    for await (const { value } of client.stream('count', [5000], { credit: 16 })) {
      seen.push(value)
      // A stop in which the server answers much else, so it could have sent more had it been allowed to.
      if (seen.length % 500 === 1) for (let n = 0; n < 40; n++) await client.call('echo', [n])
      expect(produced - seen.length, 'ahead of the reader').to.be.at.most(16)
    }
    expect(seen).to.deep.equal(Array.from({ length: 5000 }, (_, n) => n))
  })

  it('free the channel of a stream that its reader left, after two heartbeat intervals', async () => {
    let isEnded = false
    const clock = new VirtualClock()
    const { client, server } = await connect(
      {
        echo: ([value]) => value,
        endless: async function* () {
          try {
            for (let n = 0; ; n++) yield n
          } finally {
            isEnded = true
          }
        },
      },
      { clock, heartbeatMs: 1000 },
    )
    for await (const { value } of client.stream('endless', [])) if (value === 20) break
    // What the reader sent before it left is there once a later call is answered.
    await client.call('echo', [1])
    expect(server.callsInProgress).to.equal(1)
    await clock.advance(1500)
    expect(server.callsInProgress).to.equal(1)
    await clock.advance(1000)
    expect(server.callsInProgress).to.equal(0)
    expect(isEnded).to.equal(true)
    expect((await client.call('echo', [2])).value, 'on the same connection').to.equal(2)
  })

  it('tell the handler of a lost caller by its signal', async () => {
    let signal: AbortSignal | undefined
    const clock = new VirtualClock()
    const never: Handler = (_, context) => {
      signal = context.signal
      return new Promise(() => {})
    }
    const { client, server } = await connect({ never }, { clock, heartbeatMs: 1000 })
    const call = captureFailure(client.call('never', []))
    await until(
      'the call',
      () => server.callsInProgress,
      (calls) => calls === 1,
    )
    await client.close()
    expect(await call).to.include({ code: 'closed' })
    await clock.advance(2500)
    expect(signal?.reason).to.include({ code: 'unreachable' })
  })

  it('carry errors by code and message, without stacks', async () => {
    const { client } = await connect({
      known: () => {
        throw new Failure('not-found', 'no such film')
      },
      unknown: () => {
        throw new TypeError('x is undefined')
      },
      midway: async function* () {
        yield 1
        throw new Failure('disk-full', 'no room')
      },
    })
    expect(await captureFailure(client.call('known', []))).to.include({ code: 'not-found', message: 'no such film' })
    const fault = await captureFailure(client.call('unknown', []))
    expect(fault).to.include({ code: 'remote', message: 'x is undefined' })
    expect(fault.fields, 'the name of the error').to.deep.equal({ name: 'TypeError' })
    expect(await captureFailure(client.call('nothing', []))).to.include({ code: 'unknown-method' })
    expect(await captureFailure(client.call('constructor', []))).to.include({ code: 'unknown-method' })
    expect(await captureFailure(readAll(client.stream('midway', [])))).to.include({ code: 'disk-full' })
  })

  it('give a call and a stream up at their deadline, and go on with the others', async () => {
    const clock = new VirtualClock()
    const { endpoint, server } = await connect({ never: () => new Promise(() => {}), echo: ([value]) => value })
    const client = new RpcClient(endpoint, { clock })
    open.push(client)
    const failures = [
      captureFailure(client.call('never', [], { timeoutMs: 3000 })),
      captureFailure(readAll(client.stream('never', [], { timeoutMs: 3000 }))),
    ]
    await until(
      'both to arrive',
      () => server.callsInProgress,
      (calls) => calls === 2,
    )
    const states: string[] = []
    for (const failure of failures) void failure.then(({ code }) => states.push(code))
    await clock.advance(2999)
    expect(states).to.deep.equal([])
    await clock.advance(1)
    expect(states).to.deep.equal(['timeout', 'timeout'])
    expect((await client.call('echo', [2])).value).to.equal(2)
  })

  it('give a call and a stream up at their signal, before and during', async () => {
    let asked = 0
    const never = () => {
      asked++
      return new Promise(() => {})
    }
    const { client } = await connect({ never, echo: ([value]) => value })
    const abort = new AbortController()
    const { signal } = abort
    const during = [
      captureFailure(client.call('never', [], { signal })),
      captureFailure(readAll(client.stream('never', [], { signal }))),
    ]
    await until(
      'both to arrive',
      () => asked,
      (count) => count === 2,
    )
    abort.abort(new Failure('aborted', 'enough'))
    for (const failure of during) expect(await failure).to.include({ code: 'aborted', message: 'enough' })
    expect(await captureFailure(client.call('never', [], { signal }))).to.include({ code: 'aborted' })
    expect(await captureFailure(readAll(client.stream('never', [], { signal })))).to.include({ code: 'aborted' })
    expect((await client.call('echo', [2])).value).to.equal(2)
    expect(asked, 'no call goes out under a signal that has aborted').to.equal(2)
  })

  it('give a silent server up after two heartbeat intervals, and beat meanwhile', async () => {
    const clock = new VirtualClock()
    const { router, client } = await connectRaw({ clock, heartbeatMs: 1000 })
    const calls = [client.call('get', []), readAll(client.stream('get', []))].map(captureFailure)
    const names = async (count: number) => {
      const got: string[] = []
      while (got.length < count) got.push(decodeEvent((await router.receive())[2] ?? Buffer.alloc(0)).name)
      return got.sort()
    }
    expect(await names(3)).to.deep.equal(['_zpc_more', 'get', 'get'])
    await clock.advance(1000)
    expect(await names(2)).to.deep.equal(['_zpc_hb', '_zpc_hb'])
    await clock.advance(1500)
    for (const call of calls) {
      const failure = await call
      expect(failure.code).to.equal('unreachable')
      expect(failure.message).to.match(/^Lost remote/)
    }
  })

  it('keep no more of a stream than its reader gave credit for, when a server sends without', async () => {
    const { router, client } = await connectRaw()
    const values = client.stream('flood', [], { credit: 2 })[Symbol.asyncIterator]()
    const first = values.next()
    const [peer, , body] = await router.receive()
    const { message_id: id } = decodeEvent(body ?? Buffer.alloc(0)).header
    let bytes = 0
    for (let n = 0; n < 500; n++) {
      const event = encodeEvent({ header: { message_id: 'm', v: 3, response_to: id }, name: 'STREAM', args: n })
      bytes += event.length
      await router.send([peer ?? '', '', event])
    }
    expect((await first).value).to.include({ value: 0 })
    await until(
      'the flood to arrive',
      () => client.bytesReceived,
      (received) => received === bytes,
    )
    let kept = 0
    const rest = async () => {
      while (!(await values.next()).done) kept++
    }
    expect(await captureFailure(rest())).to.include({ code: 'over-limit' })
    expect(kept).to.be.at.most(4)
  })

  it('end calls and streams in progress when the server closes, with a failure that says so', async () => {
    const { client, server } = await connect({
      never: () => new Promise(() => {}),
      stuck: async function* () {
        yield 1
        await new Promise(() => {})
      },
    })
    const calls = [client.call('never', []), readAll(client.stream('stuck', []))].map(captureFailure)
    await until(
      'the calls',
      () => server.callsInProgress,
      (count) => count === 2,
    )
    await server.close()
    for (const call of calls) expect(await call).to.include({ code: 'closed' })
    expect(server.callsInProgress).to.equal(0)
    await client.close()
    expect(await captureFailure(client.call('never', []))).to.include({ code: 'closed' })
  })

  it('refuse more calls at once than the server takes', async () => {
    const { client, server } = await connect({ never: () => new Promise(() => {}) }, { maxCalls: 3 })
    const calls = Array.from({ length: 4 }, () => captureFailure(client.call('never', [], { timeoutMs: 2000 })))
    expect(await Promise.race(calls)).to.include({ code: 'over-limit' })
    expect(server.callsInProgress).to.equal(3)
  })

  it('answer what every zerorpc server answers', async () => {
    const { client } = await connect({ echo: ([value]) => value })
    expect((await client.call('_zerorpc_ping', [])).value).to.deep.equal(['pong', 'test'])
    expect((await client.call('_zerorpc_list', [])).value).to.deep.equal(['echo'])
    expect((await client.call('_zerorpc_inspect', [])).value).to.deep.equal({
      name: 'test',
      methods: { echo: { doc: '', args: [] } },
    })
  })

  it('carry bytes beside a value as frames, and inside it before the other side announced them', async () => {
    const frames = [seededBytes(1, 100_000), seededBytes(2, 50_000)]
    const { client } = await connect({
      pieces: async function* () {
        for (const frame of frames) yield new WithPayload({ size: frame.length }, [frame])
      },
      bytes: () => new WithPayload({ status: 'data' }, frames),
      size: (_, { payload }) => payload.map((frame) => frame.length),
    })
    expect(await captureFailure(client.call('size', [], { payload: frames }))).to.include({ code: 'refused' })
    const { value, payload } = await client.call('bytes', [])
    expect(value).to.deep.equal({ status: 'data' })
    expect(payload.map((frame) => Buffer.from(frame))).to.deep.equal(frames)
    expect((await client.call('size', [], { payload: frames })).value).to.deep.equal([100_000, 50_000])
    const pieces = await readAll(client.stream('pieces', []))
    expect(pieces.map(({ value }) => value)).to.deep.equal([{ size: 100_000 }, { size: 50_000 }])
    expect(pieces.flatMap(({ payload }) => payload.map((frame) => Buffer.from(frame)))).to.deep.equal(frames)
    expect(new WithPayload({ a: 1 }, frames).inline()).to.deep.equal({ a: 1, data: Buffer.concat(frames) })
  })

  it('tell the server which replies with frames were read, once, with the calls behind them', async () => {
    const read: number[] = []
    const { client } = await connect({
      bytes: ([n]) => new WithPayload({}, [Buffer.alloc(100, Number(n))], { onRead: () => read.push(Number(n)) }),
      read: () => read,
    })
    await client.call('bytes', [1])
    expect(read, 'not told of yet').to.deep.equal([])
    await client.call('bytes', [2])
    expect(read).to.deep.equal([1])
    expect((await client.call('read', [])).value).to.deep.equal([1, 2])
    expect((await client.call('read', [])).value).to.deep.equal([1, 2])
  })

  it('survive 2,000 random messages from a stranger, while an honest client loses nothing', async function () {
    this.timeout(20_000)
    const { client, endpoint } = await connect({ echo: ([value]) => value })
    const stranger = new Dealer({ linger: 0 })
    stranger.connect(endpoint)
    const chance = seededChance(99)
    const real = Buffer.from(encodeEvent({ header: { message_id: 'x', v: 3 }, name: 'nothing', args: [] }))
    for (let n = 0; n < 2000; n++) {
      await stranger.send(randomFrames(n, chance, real))
      if (n % 10 === 0) expect((await client.call('echo', [n])).value).to.equal(n)
    }
    // Messages of one connection arrive in order: once this one is answered, the server has seen all of them.
    await stranger.send(['', encodeEvent({ header: { message_id: 'last', v: 3 }, name: 'echo', args: [1] })])
    let answered: unknown
    while (answered !== 'last')
      answered = decodeEvent((await stranger.receive())[1] ?? Buffer.alloc(0)).header.response_to
    expect((await client.call('echo', ['after'])).value).to.equal('after')
    stranger.close()
  })

  it('survive an error of a hostile form, and arguments that msgpack cannot carry', async () => {
    const { router, client } = await connectRaw()
    const answer = async (name: string, args: unknown[]) => {
      const [peer, , body] = await router.receive()
      if (!peer || !body) throw new Error('no request')
      const { message_id: id } = decodeEvent(body).header
      await router.send([peer, '', encode([{ message_id: 'q', v: 3, response_to: id }, name, args])])
    }
    const hostile = { toString: null, valueOf: null }
    const first = captureFailure(client.call('x', []))
    await answer('ERR', [hostile, hostile, ''])
    expect(await first).to.include({ code: 'remote' })
    expect((await captureFailure(client.call('x', [10n]))).code).to.equal('bad-argument')
    const second = client.call('y', [])
    await answer('OK', [1])
    expect((await second).value).to.equal(1)
  })

  /** A client whose server is a bare socket that the test answers for. */
  async function connectRaw(options: RpcOptions = {}) {
    const router = new Router({ linger: 0 })
    await router.bind('tcp://127.0.0.1:*')
    const client = new RpcClient(router.lastEndpoint ?? '', options)
    open.push({ close: async () => router.close() }, client)
    return { router, client }
  }
})

async function readAll(stream: AsyncIterable<Reply>): Promise<Reply[]> {
  const replies: Reply[] = []
  for await (const reply of stream) replies.push(reply)
  return replies
}

/** Nothing but noise, or the envelope of a real request around a damaged event. */
function randomFrames(seed: number, chance: () => number, real: Buffer): Buffer[] {
  if (seed % 3 === 0) {
    const damaged = Buffer.from(real)
    damaged[Math.floor(chance() * damaged.length)] = Math.floor(chance() * 256)
    return [Buffer.alloc(0), damaged]
  }
  return Array.from({ length: 1 + Math.floor(chance() * 5) }, (_, i) =>
    chance() < 0.4 ? Buffer.alloc(0) : seededBytes(seed * 10 + i, Math.floor(chance() * 300)),
  )
}
