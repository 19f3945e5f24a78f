import { expect } from 'chai'
import { Dealer } from 'zeromq'
import { Failure } from '../../lib/base/errors.ts'
import { type Handler, RpcClient, RpcServer, WithPayload } from '../../lib/zerorpc/index.ts'
import { captureFailure } from '../support/failures.ts'
import { seededBytes, seededChance } from '../support/seeded.ts'
import { until } from '../support/until.ts'

describe('a zerorpc client and server', () => {
  const open: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close()
  })

  async function connect(methods: Record<string, Handler>, options: { maxCalls?: number } = {}) {
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
      count: async function* ([upTo]) {
        for (let n = 0; n < (upTo as number); n++) {
          produced++
          yield n
        }
      },
    })
    const seen: unknown[] = []
    let farthest = 0
    for await (const { value } of client.stream('count', [5000], { credit: 16 })) {
      seen.push(value)
      farthest = Math.max(farthest, produced - seen.length)
    }
    expect(seen).to.deep.equal(Array.from({ length: 5000 }, (_, n) => n))
    expect(farthest, 'ahead of the reader').to.be.at.most(32)
  })

  it('end a stream at the server when the reader leaves it', async () => {
    let isEnded = false
    const { client, server } = await connect({
      endless: async function* () {
        try {
          for (let n = 0; ; n++) yield n
        } finally {
          isEnded = true
        }
      },
    })
    for await (const { value } of client.stream('endless', [])) if (value === 20) break
    expect(server.callsInProgress).to.equal(1)
    await client.close()
    // The server hears no more and gives the channel up after two heartbeat intervals; closing it here does so at once.
    await server.close()
    expect(isEnded).to.equal(true)
    expect(server.callsInProgress).to.equal(0)
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
    expect(await captureFailure(client.call('unknown', []))).to.include({ code: 'remote', message: 'x is undefined' })
    expect(await captureFailure(client.call('nothing', []))).to.include({ code: 'unknown-method' })
    expect(await captureFailure(client.call('constructor', []))).to.include({ code: 'unknown-method' })
    const read = async () => {
      for await (const _ of client.stream('midway', []));
    }
    expect(await captureFailure(read())).to.include({ code: 'disk-full' })
  })

  it('give a call up at its deadline or signal, and go on with the others', async () => {
    const { client } = await connect({ never: () => new Promise(() => {}), echo: ([value]) => value })
    expect(await captureFailure(client.call('never', [], { timeoutMs: 30 }))).to.include({ code: 'timeout' })
    const abort = new AbortController()
    const call = client.call('never', [], { signal: abort.signal })
    abort.abort(new Failure('aborted', 'enough'))
    expect(await captureFailure(call)).to.include({ code: 'aborted', message: 'enough' })
    expect(await captureFailure(client.call('echo', [1], { signal: abort.signal }))).to.include({ code: 'aborted' })
    expect((await client.call('echo', [2])).value).to.equal(2)
  })

  it('end calls in progress when the server closes, with a failure that says so', async () => {
    const { client, server } = await connect({ never: () => new Promise(() => {}) })
    const call = captureFailure(client.call('never', []))
    await until(
      'the call',
      () => server.callsInProgress,
      (calls) => calls === 1,
    )
    await server.close()
    expect(await call).to.include({ code: 'closed' })
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
    expect((await client.call('_zerorpc_list', [])).value).to.include('echo')
    expect((await client.call('_zerorpc_inspect', [])).value).to.have.property('methods')
  })

  it('carry bytes beside a value as frames, and inside it before the other side announced them', async () => {
    const frames = [seededBytes(1, 100_000), seededBytes(2, 50_000)]
    const { client } = await connect({
      bytes: () => new WithPayload({ status: 'data' }, frames),
      size: (_, { payload }) => payload.map((frame) => frame.length),
    })
    const { value, payload } = await client.call('bytes', [])
    expect(value).to.deep.equal({ status: 'data' })
    expect(payload.map((frame) => Buffer.from(frame))).to.deep.equal(frames)
    expect((await client.call('size', [], { payload: frames })).value).to.deep.equal([100_000, 50_000])
    expect(new WithPayload({ a: 1 }, frames).inline()).to.deep.equal({ a: 1, data: Buffer.concat(frames) })
  })

  it('survive 2,000 random messages from a stranger, while an honest client loses nothing', async function () {
    this.timeout(20_000)
    const { client, endpoint } = await connect({ echo: ([value]) => value })
    const stranger = new Dealer({ linger: 0 })
    stranger.connect(endpoint)
    const chance = seededChance(99)
    for (let n = 0; n < 2000; n++) {
      const frames = Array.from({ length: 1 + Math.floor(chance() * 5) }, (_, i) =>
        chance() < 0.4 ? Buffer.alloc(0) : seededBytes(n * 10 + i, Math.floor(chance() * 300)),
      )
      await stranger.send(frames)
      if (n % 10 === 0) expect((await client.call('echo', [n])).value).to.equal(n)
    }
    stranger.close()
  })
})
