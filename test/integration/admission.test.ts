import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { systemClock } from '../../lib/base/clock.ts'
import type { Role } from '../../lib/network/allow-list.ts'
import { Peer } from '../../lib/network/peer.ts'
import { addressOf, splitAddress, withKey } from '../../lib/stream/address.ts'
import { parseLink } from '../../lib/stream/links.ts'
import { type KeyPair, newKeyPair } from '../../lib/zerorpc/index.ts'
import { captureFailure } from '../support/failures.ts'
import { makeFolder } from '../support/folders.ts'
import { publishBytes, streamFrom, TestNetwork } from '../support/network.ts'
import { until } from '../support/until.ts'

describe('a network with keys', () => {
  const network = new TestNetwork()
  const peers: Peer[] = []
  const said: string[] = []
  const log = { info() {}, warn: (text: string) => said.push(text), error: (text: string) => said.push(text) }
  let allow = ''
  beforeEach(async () => {
    said.length = 0
    allow = join(await makeFolder(), 'allow')
    await writeFile(allow, '')
  })
  afterEach(async () => {
    for (const peer of peers.splice(0)) await peer.close()
    await network.close()
  })

  async function admit(role: Role, keys = newKeyPair()): Promise<KeyPair> {
    await appendFile(allow, `${keys.publicKey.toString('base64url')} ${role} a ${role}\n`)
    return keys
  }

  function peerAt(address: string, keys?: KeyPair): Peer {
    const peer = new Peer(address, systemClock, keys)
    peers.push(peer)
    return peer
  }

  it('carries a film from source through relays to viewers, and siblings share', async () => {
    const [source, one, two, viewer] = [
      await admit('source'),
      await admit('relay'),
      await admit('relay'),
      await admit('viewer'),
    ]
    const root = await network.source({ keys: source, allow })
    const film = await publishBytes(root.directory, 'film', { count: 40, sizeBytes: 100_000 })
    expect(splitAddress(root.address).key?.equals(source.publicKey)).to.equal(true)
    const relays = [
      await network.relay('one', [root.address], { keys: one, allow }),
      await network.relay('two', [root.address], { keys: two, allow }),
    ]
    const outputs = await Promise.all(relays.map((relay) => streamFrom(relay, 'film', { keys: viewer })))
    for (const { sha256 } of outputs) expect(sha256).to.equal(film.sha256)
    const sibling = relays.reduce((sum, relay) => sum + relay.stats().bytesFrom.sibling, 0)
    expect(sibling, 'siblings know each other by the keys in their addresses').to.be.greaterThan(0)
    expect(root.stats()).to.include({ admission: 'keys' })
  })

  it('refuses a stranger as viewer, as relay and as publisher, and tells both sides once', async () => {
    const root = await network.source({ keys: await admit('source'), allow, log })
    await publishBytes(root.directory, 'film', { count: 1, sizeBytes: 1000 })
    const stranger = newKeyPair()
    const key = stranger.publicKey.toString('base64url')
    const viewer = await captureFailure(streamFrom(root, 'film', { keys: stranger }))
    expect(viewer.code).to.equal('refused')
    expect(viewer.message).to.include(key).and.to.include('--allow')
    const relay = await network.relay('stranger', [root.address], { keys: stranger, allow, log })
    const publisher = await captureFailure(
      peerAt(root.address, stranger).publishCheck('film', Buffer.alloc(32), { replace: false }),
    )
    expect(publisher.code).to.equal('refused')
    await until(
      'the relay to be told',
      () => said.filter((text) => text.includes('does not admit the key')),
      (told) => told.length > 0,
    )
    expect(relay.stats().master).to.equal(null)
    expect(root.stats().children).to.deep.equal([])
    const reports = said.filter((text) => text.startsWith('refused 127.0.0.1') && text.includes(key))
    expect(reports, 'the operator of the source is told at a bounded rate').to.have.length(1)
    expect(
      (await captureFailure(peerAt(addressOf('127.0.0.1', splitAddress(root.address).port)).stats({ timeoutMs: 500 })))
        .code,
      'no keys at all',
    ).to.be.oneOf(['refused', 'timeout'])
  })

  it('refuses calls beyond the role of a key', async () => {
    const root = await network.source({ keys: await admit('source'), allow })
    const viewer = peerAt(root.address, await admit('viewer'))
    await until(
      'the list to be read again',
      () => captured(viewer.stats({ timeoutMs: 500 })),
      (code) => code === 'ok',
    )
    expect((await captureFailure(viewer.publishCheck('film', Buffer.alloc(32), { replace: false }))).message).to.match(
      /as viewer may not call publishCheck/,
    )
    expect((await captureFailure(viewer.report('x', []))).code).to.equal('refused')
    const asRelay = viewer.register({ name: 'x', address: addressOf('127.0.0.1', 1) })
    expect((await captureFailure(asRelay)).message).to.match(/may not register x as a relay/)
  })

  it('pins the name of a node to its key, and its address to what it shows', async () => {
    const [source, one, two] = [await admit('source'), await admit('relay'), await admit('relay')]
    const root = await network.source({ keys: source, allow })
    const [first, second] = [peerAt(root.address, one), peerAt(root.address, two)]
    const own = (keys: KeyPair) => addressOf('127.0.0.1', 9, keys.publicKey)
    await first.register({ name: 'mit', address: own(one) })
    const taken = await captureFailure(second.register({ name: 'mit', address: own(two) }))
    expect(taken.message)
      .to.include(one.publicKey.toString('base64url'))
      .and.to.include(two.publicKey.toString('base64url'))
    const foreign = await captureFailure(second.register({ name: 'two', address: own(one) }))
    expect(foreign.message).to.match(/does not name that key/)
  })

  it('takes changes of the list without a restart, and keeps the old one when the new one is wrong', async () => {
    const root = await network.source({ keys: await admit('source'), allow, log })
    const late = newKeyPair()
    const peer = peerAt(root.address, late)
    expect(await captured(peer.stats({ timeoutMs: 300 }))).to.not.equal('ok')
    await admit('viewer', late)
    await until(
      'admission',
      () => captured(peer.stats({ timeoutMs: 500 })),
      (code) => code === 'ok',
    )
    await writeFile(allow, 'nonsense\n')
    await until(
      'the report',
      () => said.filter((text) => /line 1 of .*stays in force/.test(text)),
      (told) => told.length > 0,
    )
    expect(await captured(peer.stats({ timeoutMs: 500 }))).to.equal('ok')
    await writeFile(allow, '')
    await until(
      'the refusal',
      () => captured(peer.stats({ timeoutMs: 500 })),
      (code) => code === 'refused',
    )
  })

  it('lets a node with keys talk only to nodes whose key it knows, and shows who is not the one', async () => {
    const root = await network.source({ keys: await admit('source'), allow })
    const viewer = await admit('viewer')
    const { port } = splitAddress(root.address)
    const plain = peerAt(addressOf('127.0.0.1', port), viewer)
    expect((await captureFailure(plain.stats())).message).to.match(/tcp:\/\/KEY@HOST:PORT/)
    const other = addressOf('127.0.0.1', port, newKeyPair().publicKey)
    expect(await captured(peerAt(other, viewer).stats({ timeoutMs: 400 }))).to.be.oneOf(['timeout', 'refused'])
    expect(() => withKey(root.address, viewer.publicKey)).to.throw(/names another key/)
    expect(parseLink(`${root.address}/film`).address).to.equal(root.address)
  })

  it('says so loudly when it is open to others than its own machine', async () => {
    const open = await network.source({ ip: '0.0.0.0', log })
    expect(open.stats()).to.include({ admission: 'open' })
    expect(said.join('\n')).to.match(/ANYBODY WHO REACHES .* MAY CONNECT/)
    expect((await captureFailure(network.source({ keys: newKeyPair() }))).message).to.match(/--keyfile needs --allow/)
    expect((await captureFailure(network.source({ allow }))).message).to.match(/--allow needs --keyfile/)
  })
})

/** `ok`, or the code of the failure. */
async function captured(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
