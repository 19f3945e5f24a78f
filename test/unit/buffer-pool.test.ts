import { expect } from 'chai'
import { intoPool, pooled, release, releaseLater, retain } from '../../lib/base/buffer-pool.ts'
import { seededBytes } from '../support/seeded.ts'

const sizeBytes = 300_000
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('memory of runs', () => {
  it('goes to the next run when its last user has let go, and not before', async () => {
    const first = pooled(sizeBytes)
    retain(first)
    release(first)
    await nextTurn()
    expect(pooled(sizeBytes).buffer, 'still used').to.not.equal(first.buffer)
    release(first)
    await nextTurn()
    expect(pooled(sizeBytes - 1000).buffer, 'one of about the same size').to.equal(first.buffer)
  })

  it('can be retained in the turn in which its last user has let go', async () => {
    const bytes = pooled(sizeBytes)
    release(bytes)
    expect(pooled(sizeBytes).buffer).to.not.equal(bytes.buffer)
    await Promise.resolve()
    retain(bytes)
    await nextTurn()
    expect(pooled(sizeBytes).buffer).to.not.equal(bytes.buffer)
  })

  it('is not spoilt by who lets go more than once', async () => {
    const bytes = pooled(sizeBytes)
    release(bytes)
    release(bytes)
    await nextTurn()
    release(bytes)
    await nextTurn()
    const [one, other] = [pooled(sizeBytes), pooled(sizeBytes)]
    expect(one.buffer).to.equal(bytes.buffer)
    expect(other.buffer).to.not.equal(bytes.buffer)
  })

  it('takes the place of bytes that came', () => {
    const came = Buffer.from(seededBytes(1, sizeBytes))
    const own = Buffer.allocUnsafeSlow(sizeBytes)
    came.copy(own)
    const kept = intoPool(own)
    expect(Buffer.from(kept).equals(came)).to.equal(true)
    expect(own).to.have.length(0)
    const small = Buffer.alloc(100)
    expect(intoPool(small), 'small ones stay').to.equal(small)
  })

  it('may be let go of later, and by who never had it', async () => {
    const bytes = pooled(sizeBytes)
    const later = releaseLater(bytes)
    release(Buffer.alloc(10))
    retain(Buffer.alloc(10))
    later()
    await nextTurn()
    expect(pooled(sizeBytes).buffer).to.equal(bytes.buffer)
  })
})
