import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { pause, systemClock } from '../../lib/base/clock.ts'
import { Failure } from '../../lib/base/errors.ts'
import { RpcClient, RpcServer } from '../../lib/zerorpc/index.ts'

const heartbeatMs = 300
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

const peers = [
  {
    title: 'the original zerorpc 0.9.8',
    program: process.execPath,
    script: here('original.cjs'),
    remoteError: 'Error',
    unknownFails: false,
  },
  {
    title: 'Python with pyzmq and msgpack',
    program: '/usr/bin/python3',
    script: here('python_peer.py'),
    remoteError: 'ValueError',
    unknownFails: true,
  },
]

interface Line {
  [key: string]: unknown
}

/** A child process that prints JSON lines. */
class Child {
  readonly process: ChildProcess
  readonly #lines: AsyncIterator<string>
  #errors = ''

  constructor(program: string, args: string[]) {
    this.process = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const { stdout, stderr } = this.process
    if (!stdout || !stderr) throw new Error('no pipes')
    stderr.on('data', (data: Buffer) => {
      this.#errors += data.toString()
    })
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  }

  async line(): Promise<Line> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`the child ended: ${this.#errors}`)
    return JSON.parse(value) as Line
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const ended = new Promise((resolve) => this.process.once('close', resolve))
    this.process.kill('SIGKILL')
    await ended
  }
}

async function* numbers(upTo: number, onEnd: () => void): AsyncIterable<number> {
  try {
    for (let i = 0; i < upTo; i++) yield i
  } finally {
    onEnd()
  }
}

for (const { title, program, script, remoteError, unknownFails } of peers) {
  describe(`interoperation with ${title}`, () => {
    const open: { close(): Promise<void> }[] = []
    const children: Child[] = []
    afterEach(async () => {
      for (const child of children.splice(0)) await child.kill()
      for (const one of open.splice(0)) await one.close()
    })

    function start(...args: string[]): Child {
      const child = new Child(program, [script, ...args])
      children.push(child)
      return child
    }

    async function ourServer(onStreamEnd = () => {}): Promise<{ server: RpcServer; endpoint: string }> {
      const server = new RpcServer({
        heartbeatMs,
        methods: new Map([
          ['echo', { handle: ([value]: unknown[]) => value }],
          ['count', { handle: ([upTo]: unknown[]) => numbers(Number(upTo), onStreamEnd) }],
          ['bytes', { handle: ([size]: unknown[]) => Buffer.alloc(Number(size), 7) }],
          [
            'fail',
            {
              handle: () => {
                throw new Failure('refused', 'as asked')
              },
            },
          ],
          [
            'slow',
            {
              handle: async ([ms]: unknown[]) => {
                await pause(systemClock, Number(ms))
                return 'done'
              },
            },
          ],
        ]),
      })
      open.push(server)
      return { server, endpoint: await server.bind('tcp://127.0.0.1:0') }
    }

    it('serves its client: call, stream of 5,000, 1 MiB, error, unknown method, a call longer than the heartbeat limit', async () => {
      const { endpoint } = await ourServer()
      const result = await start('client', endpoint).line()
      expect(result.call).to.deep.equal({ text: 'grüße', list: [1, 2, 3] })
      expect(result.stream).to.deep.equal({ count: 5000, sum: (4999 * 5000) / 2 })
      expect(result.bytes).to.deep.equal({ size: 1024 * 1024, isRight: true })
      expect(result.error).to.deep.equal({ name: 'refused', message: 'as asked' })
      expect(result.unknown).to.deep.equal({ name: 'NameError', message: 'no_such_method' })
      expect(result.slow).to.equal('done')
    })

    it('frees the channel of its client that is killed amid a stream', async () => {
      let onEnd = () => {}
      const ended = new Promise<void>((resolve) => {
        onEnd = resolve
      })
      const { server, endpoint } = await ourServer(() => onEnd())
      const child = start('client', endpoint, 'endless')
      await child.line()
      expect(server.callsInProgress).to.equal(1)
      await child.kill()
      await ended
      expect(server.callsInProgress).to.equal(0)
    })

    it('calls its server: call, stream of 5,000, 1 MiB, error, a call longer than the heartbeat limit', async () => {
      const { endpoint } = await start('server').line()
      const client = new RpcClient(String(endpoint), { heartbeatMs })
      open.push(client)
      expect((await client.call('echo', [{ text: 'grüße' }])).value).to.deep.equal({ text: 'grüße' })
      let [count, sum] = [0, 0]
      for await (const { value } of client.stream('count', [5000])) {
        count++
        sum += Number(value)
      }
      expect([count, sum]).to.deep.equal([5000, (4999 * 5000) / 2])
      const bytes = (await client.call('bytes', [1024 * 1024])).value as Uint8Array
      expect(bytes.length).to.equal(1024 * 1024)
      expect(bytes.every((byte) => byte === 7)).to.equal(true)
      const failure = await client.call('fail', []).catch((error) => error)
      expect(failure).to.be.instanceOf(Failure)
      expect([failure.code, failure.fields.name, failure.message]).to.deep.equal(['remote', remoteError, 'as asked'])
      expect((await client.call('slow', [1500])).value).to.equal('done')
    })

    it('learns from its server that a method is unknown', async () => {
      const { endpoint } = await start('server').line()
      const client = new RpcClient(String(endpoint), { heartbeatMs })
      open.push(client)
      const failure = await client.call('no_such_method', [], { timeoutMs: 2000 }).catch((error) => error)
      // The original leaves unknown methods without an answer: the heartbeat or the deadline ends the call.
      expect(failure.code).to.be.oneOf(unknownFails ? ['unknown-method'] : ['unknown-method', 'unreachable', 'timeout'])
    })

    it('notices that its server was killed amid a stream', async () => {
      const child = start('server')
      const { endpoint } = await child.line()
      const client = new RpcClient(String(endpoint), { heartbeatMs })
      open.push(client)
      const stream = client.stream('count', [1_000_000_000])[Symbol.asyncIterator]()
      await stream.next()
      await child.kill()
      let failure: unknown
      while (failure === undefined) await stream.next().catch((error) => (failure = error))
      expect((failure as Failure).code).to.equal('unreachable')
    })
  })
}
