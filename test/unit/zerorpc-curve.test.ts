import { type AddressInfo, createServer } from 'node:net'
import { expect } from 'chai'
import { curveKeyPair } from 'zeromq'
import { ProofChecker, proofOf, z85 } from '../../lib/zerorpc/curve.ts'
import { keyPairOf, newKeyPair, RpcClient, RpcServer, type ServerCurve } from '../../lib/zerorpc/index.ts'
import { captureFailure } from '../support/failures.ts'
import { until } from '../support/until.ts'

describe('keys of nodes', () => {
  it('are spelled as ZeroMQ spells them', () => {
    // The example of RFC 32.
    expect(z85(Buffer.from('864fd26fb559f75b', 'hex'))).to.equal('HelloWorld')
    const { publicKey } = newKeyPair()
    expect(z85(publicKey)).to.have.length(curveKeyPair().publicKey.length)
  })

  it('are made from their secret half alone', () => {
    const keys = newKeyPair()
    expect(keyPairOf(keys.secretKey)).to.deep.equal(keys)
    expect(newKeyPair().publicKey.equals(keys.publicKey)).to.equal(false)
  })

  it('prove who calls, to one server only', () => {
    const [client, server, other] = [newKeyPair(), newKeyPair(), newKeyPair()]
    const checker = new ProofChecker(server.secretKey)
    const proof = proofOf(client.secretKey, server.publicKey)
    expect(checker.isRight(client.publicKey, proof)).to.equal(true)
    expect(checker.isRight(client.publicKey, proof), 'the second time').to.equal(true)
    expect(checker.isRight(other.publicKey, proof), 'for another key').to.equal(false)
    expect(new ProofChecker(other.secretKey).isRight(client.publicKey, proof), 'at another server').to.equal(false)
    expect(checker.isRight(Buffer.alloc(32), Buffer.alloc(32)), 'a key of low order').to.equal(false)
    expect(checker.isRight(Buffer.alloc(5), proof)).to.equal(false)
  })
})

describe('a server with keys', () => {
  const open: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close()
  })
  const serverKeys = newKeyPair()
  const known = newKeyPair()

  async function serve(curve: Partial<ServerCurve> = {}) {
    const asked: string[] = []
    const admits = (key: Buffer) => {
      asked.push(key.toString('base64url'))
      return key.equals(known.publicKey)
    }
    const methods = new Map([['who', { handle: (_: unknown[], { key }: { key: Buffer | undefined }) => key ?? null }]])
    const server = new RpcServer({ methods, curve: { keys: serverKeys, admits, ...curve } })
    const endpoint = await server.bind('tcp://127.0.0.1:*')
    open.push(server)
    const client = (curve?: { keys?: typeof known; serverKey?: Buffer }) => {
      const options = curve && { curve: { keys: known, serverKey: serverKeys.publicKey, ...curve } }
      const made = new RpcClient(endpoint, options)
      open.push(made)
      return made
    }
    return { client, asked }
  }

  it('admits a known key and knows who calls', async () => {
    const { client } = await serve()
    const { value } = await client({}).call('who', [])
    expect(Buffer.from(value as Uint8Array).equals(known.publicKey)).to.equal(true)
  })

  it('refuses an unknown key, a client without keys, and one that expects another server', async () => {
    const { client, asked } = await serve()
    const stranger = newKeyPair()
    const refused: string[] = []
    const unknown = client({ keys: stranger })
    unknown.onRefused((why) => refused.push(why))
    for (const one of [unknown, client(), client({ serverKey: stranger.publicKey })])
      expect((await captureFailure(one.call('who', [], { timeoutMs: 300 }))).code).to.equal('timeout')
    await until(
      'the refusal to be told',
      () => refused,
      (told) => told.includes('auth'),
    )
    expect(asked).to.include(stranger.publicKey.toString('base64url'))
    expect((await client({}).call('who', [])).value, 'others come in').to.not.equal(null)
  })

  it('refuses once, and is heard by a client that was busy meanwhile', async () => {
    const { client, asked } = await serve()
    const refused: string[] = []
    const late = client({ keys: newKeyPair() })
    await until(
      'the key to be looked up',
      () => asked,
      ({ length }) => length > 0,
    )
    late.onRefused((why) => refused.push(why))
    await until(
      'the refusal to be told',
      () => refused,
      (told) => told.includes('auth'),
    )
  })

  it('is told from one that ends amid a handshake', async () => {
    let connections = 0
    const breaking = createServer((socket) => {
      connections++
      socket.on('error', () => {})
      socket.once('data', () => socket.resetAndDestroy())
    })
    await new Promise<void>((resolve) => breaking.listen(0, '127.0.0.1', resolve))
    const endpoint = `tcp://127.0.0.1:${(breaking.address() as AddressInfo).port}`
    open.push({ close: () => new Promise((resolve) => breaking.close(() => resolve())) })
    const [plain, keyed]: string[][] = [[], []]
    for (const [refused, curve] of [
      [plain, undefined],
      [keyed, { keys: known, serverKey: serverKeys.publicKey }],
    ] as const) {
      const client = new RpcClient(endpoint, { curve })
      open.push(client)
      client.onRefused((why) => refused?.push(why))
    }
    await until(
      'connections of both',
      () => connections,
      (count) => count >= 10,
      10_000,
    )
    expect({ plain, keyed }, 'after a few').to.deep.equal({ plain: [], keyed: [] })
    await until(
      'the key to be suspected',
      () => keyed ?? [],
      (told) => told.includes('keys'),
      10_000,
    )
    expect(plain, 'who has no keys tries on').to.deep.equal([])
  })
})
