import { expect } from 'chai'
import { Failure } from '../../lib/base/errors.ts'
import { AllowList, type Role, roles } from '../../lib/network/allow-list.ts'
import { argumentSchemas, type Method } from '../../lib/network/contract.ts'
import { authorise, authoriseSibling, publisherPolicies } from '../../lib/node/authorise.ts'
import { isLoopback } from '../../lib/node/own-address.ts'

const methods = Object.keys(argumentSchemas) as Method[]
const forAll: Method[] = ['list', 'describe', 'pages', 'get', 'register', 'renew', 'leave', 'stats', 'ping']
const forRelays: Method[] = ['query', 'report']
const forPublishers: Method[] = ['publishCheck', 'publish', 'publishPages', 'publishChunks', 'publishEnd']

/** The methods that a caller may call. */
function allowed(admitted: { role: Role | undefined } | undefined, node: Partial<Parameters<typeof authorise>[2]>) {
  const whole = { name: 'node', role: 'source' as const, publishers: 'loopback' as const, ...node }
  return methods.filter((method) => {
    try {
      authorise({ admitted, isOnLoopback: false }, method, whole)
      return true
    } catch (error) {
      expect(error, method).to.be.instanceOf(Failure).and.to.include({ code: 'refused' })
      return false
    }
  })
}

describe('who may call what', () => {
  it('is decided by the role of the key, for every method', () => {
    expect([...forAll, ...forRelays, ...forPublishers].sort(), 'all methods are in this table').to.deep.equal(
      [...methods].sort(),
    )
    const matrix: Record<Role, Method[]> = {
      source: [...forAll, ...forRelays],
      relay: [...forAll, ...forRelays],
      worker: forAll,
      publisher: [...forAll, ...forPublishers],
      viewer: forAll,
    }
    for (const role of roles) expect(allowed({ role }, {}), role).to.have.members(matrix[role])
    expect(allowed({ role: 'publisher' }, { role: 'relay' }), 'nobody publishes to a relay').to.have.members(forAll)
    expect(allowed({ role: undefined }, {}), 'a key that is not (any more) in the list').to.deep.equal([])
  })

  it('is open where a node has no keys, but for publishing from elsewhere', () => {
    for (const publishers of publisherPolicies) {
      const wanted = publishers === 'any' ? methods : [...forAll, ...forRelays]
      expect(allowed(undefined, { publishers }), publishers).to.have.members(wanted)
    }
    const here = { admitted: undefined, isOnLoopback: true }
    expect(() => authorise(here, 'publish', { name: 'n', role: 'source', publishers: 'loopback' })).to.not.throw()
  })

  it('lets only relays and sources register an address', () => {
    for (const role of roles) {
      const register = () => authoriseSibling(role, 'x')
      if (role === 'relay' || role === 'source') expect(register, role).to.not.throw()
      else expect(register, role).to.throw(Failure, /as a relay/)
    }
  })

  it('takes only addresses that no other machine can use for loopback', () => {
    for (const host of ['127.0.0.1', '127.8.9.10', '::1']) expect(isLoopback(host), host).to.equal(true)
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.example.org', '128.0.0.1', '', '::ffff:10.0.0.1'])
      expect(isLoopback(host), host).to.equal(false)
  })
})

describe('the list of admitted keys', () => {
  const [a, b] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const text = (key: Buffer) => key.toString('base64url')

  it('has a line with key, role and label for each', () => {
    const list = AllowList.parse(`# ours\n${text(a)} relay mit, room 5\n\n  ${text(b)}\tviewer # no label\n`, 'allow')
    expect(list.find(a)).to.deep.equal({ role: 'relay', label: 'mit, room 5' })
    expect(list.find(b)).to.deep.equal({ role: 'viewer', label: '' })
    expect(list.find(Buffer.alloc(32, 3))).to.equal(undefined)
    expect(list.find(undefined)).to.equal(undefined)
    expect(list.size).to.equal(2)
  })

  it('may admit everybody, as viewers', () => {
    const list = AllowList.parse(`* viewer\n${text(a)} relay`, 'allow')
    expect(list.find(b)?.role).to.equal('viewer')
    expect(list.find(undefined)?.role).to.equal('viewer')
    expect(list.find(a)?.role).to.equal('relay')
  })

  it('is refused with the line that is wrong', () => {
    const wrong: [string, RegExp][] = [
      ['short relay x', /line 1 of allow to begin with a public key/],
      [`\n${text(a)} boss`, /line 2 of allow to name a role \(source, relay/],
      [text(a), /line 1 of allow to name a role/],
      ['* relay', /admit \* as viewer only/],
      [`${text(a)} viewer\n${text(a)} relay`, /line 2 of allow names a key a second time/],
    ]
    for (const [list, message] of wrong)
      expect(() => AllowList.parse(list, 'allow'), list)
        .to.throw(Failure, message)
        .with.property('code', 'bad-config')
  })
})
