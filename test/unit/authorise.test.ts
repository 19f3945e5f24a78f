import { expect } from 'chai'
import { Failure } from '../../lib/base/errors.ts'
import { authorisePublisher, publisherPolicies } from '../../lib/node/authorise.ts'
import { isLoopback } from '../../lib/node/own-address.ts'

describe('who may publish', () => {
  it('is decided by the role of the node, its policy, and where the caller is', () => {
    const admitted: string[] = []
    for (const role of ['source', 'relay'] as const)
      for (const publishers of publisherPolicies)
        for (const isOnLoopback of [true, false]) {
          const cell = `${role} ${publishers} ${isOnLoopback ? 'here' : 'elsewhere'}`
          try {
            authorisePublisher({ peer: 'p', isOnLoopback }, { name: 'node', role, publishers })
            admitted.push(cell)
          } catch (error) {
            expect(error, cell).to.be.instanceOf(Failure).and.to.include({ code: 'refused' })
          }
        }
    expect(admitted).to.deep.equal(['source loopback here', 'source any here', 'source any elsewhere'])
  })

  it('takes only addresses that no other machine can use for loopback', () => {
    for (const host of ['127.0.0.1', '127.8.9.10', '::1']) expect(isLoopback(host), host).to.equal(true)
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.example.org', '128.0.0.1', '', '::ffff:10.0.0.1'])
      expect(isLoopback(host), host).to.equal(false)
  })
})
