import { expect } from 'chai'
import { discard } from '../../lib/base/discard.ts'

describe('memory given back', () => {
  it('is gone at once', () => {
    const bytes = Buffer.allocUnsafeSlow(1024 * 1024)
    const before = process.memoryUsage().arrayBuffers
    discard(bytes)
    expect(bytes).to.have.length(0)
    expect(process.memoryUsage().arrayBuffers).to.equal(before - 1024 * 1024)
  })

  it('is not what others lie in', () => {
    const whole = Buffer.allocUnsafeSlow(100).fill(7)
    discard(whole.subarray(0, 50))
    expect(whole).to.have.length(100)
    const shared = new Uint8Array(new SharedArrayBuffer(10))
    discard(shared)
    expect(shared).to.have.length(10)
  })
})
