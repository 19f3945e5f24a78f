import { expect } from 'chai'
import { pooled, release, retain } from '../../lib/base/buffer-pool.ts'
import { RunCache } from '../../lib/transfer/run-cache.ts'

const sizeBytes = 100_000
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A cache of two runs that was given the runs 0, 1, 2, ... */
function filled(count: number): { cache: RunCache; runs: Buffer[] } {
  const cache = new RunCache(2 * sizeBytes)
  const runs = Array.from({ length: count }, () => pooled(sizeBytes))
  return { cache, runs }
}

describe('a cache of runs', () => {
  it('lets the one go that was used least recently', () => {
    const { cache, runs } = filled(3)
    cache.put('0', runs[0] as Buffer)
    cache.put('1', runs[1] as Buffer)
    cache.get('0')
    cache.put('2', runs[2] as Buffer)
    expect(['0', '1', '2'].map((key) => cache.has(key))).to.deep.equal([true, false, true])
    expect(cache.get('1')).to.equal(undefined)
  })

  it('serves on what it let go while somebody uses it, and not a moment longer', async () => {
    const { cache, runs } = filled(3)
    const first = runs[0] as Buffer
    retain(first)
    runs.forEach((bytes, at) => {
      cache.put(String(at), bytes)
    })
    expect(cache.has('0')).to.equal(false)
    expect(cache.get('0')).to.equal(first)
    release(first)
    expect(cache.get('0'), 'its memory may be another run by now').to.equal(undefined)
    await nextTurn()
    const other = pooled(sizeBytes)
    expect(other.buffer).to.equal(first.buffer)
    expect(cache.get('0')).to.equal(undefined)
  })
})
