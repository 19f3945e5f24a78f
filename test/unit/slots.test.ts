import { expect } from 'chai'
import { Slots } from '../../lib/transfer/slots.ts'

describe('the slots of a peer', () => {
  it('let through what somebody waits for before what is only fetched ahead', async () => {
    const slots = new Slots(() => 100)
    const gone: string[] = []
    let isAwaited = false
    const take = (name: string, bytes: number, awaited = () => false) =>
      slots.take(bytes, awaited).then(() => gone.push(name))
    await take('first', 60)
    const others = [take('ahead', 60), take('far ahead', 60), take('awaited', 60, () => isAwaited)]
    isAwaited = true
    slots.release(60)
    slots.release(60)
    slots.release(60)
    await Promise.all(others)
    expect(gone).to.deep.equal(['first', 'awaited', 'ahead', 'far ahead'])
  })

  it('let one through that is larger than all of them, when it is alone', async () => {
    const slots = new Slots(() => 100)
    await slots.take(500, () => false)
    let isThrough = false
    const next = slots
      .take(10, () => true)
      .then(() => {
        isThrough = true
      })
    await Promise.resolve()
    expect(isThrough).to.equal(false)
    slots.release(500)
    await next
  })
})
