import { encode } from '@msgpack/msgpack'
import { expect } from 'chai'
import fc from 'fast-check'
import { Failure } from '../../lib/base/errors.ts'
import { decodeEvent, encodeEvent } from '../../lib/zerorpc/event.ts'
import { seededBytes, seededChance } from '../support/seeded.ts'

describe('a zerorpc event', () => {
  const event = {
    header: { message_id: 'abc', v: 3 as const, response_to: 'def', pf: 0 },
    name: 'get',
    args: ['film', 7],
  }

  it('is the same after it travelled', () => {
    expect(decodeEvent(encodeEvent(event))).to.deep.equal(event)
    const binary = { header: { message_id: Buffer.from([1, 2]), v: 3 as const }, name: 'x', args: [] }
    const decoded = decodeEvent(encodeEvent(binary))
    expect(decoded.header.message_id).to.be.instanceOf(Uint8Array)
    expect([...(decoded.header.message_id as Uint8Array)]).to.deep.equal([1, 2])
  })

  it('carries any arguments that msgpack has', () => {
    // Through JSON, which like msgpack knows no -0; the decoder refuses the key __proto__.
    const values = fc
      .json({ maxDepth: 5 })
      .filter((text) => !text.includes('__proto__'))
      .map((text): unknown => JSON.parse(text))
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 64 }),
        fc.string({ maxLength: 256 }),
        values,
        (id, name, value) => {
          const sent = { header: { message_id: id, v: 3 as const }, name, args: [value, value] }
          expect(decodeEvent(encodeEvent(sent))).to.deep.equal(sent)
        },
      ),
      { seed: 2026, numRuns: 500 },
    )
  })

  it('is refused when its arguments are nested deeper than 24 levels, the event itself included', () => {
    const nestedIn = (levels: number) => {
      let args: unknown = 7
      for (let n = 0; n < levels; n++) args = [args]
      return encodeEvent({ header: event.header, name: 'get', args })
    }
    expect(() => decodeEvent(nestedIn(22))).not.to.throw()
    for (const levels of [23, 24, 50, 90]) expectRefused(nestedIn(levels), `${levels} levels`)
  })

  it('is refused in a wrong form', () => {
    const header = { message_id: 'a', v: 3 }
    const wrong: unknown[] = [
      'text',
      {},
      [],
      [header, 'name'],
      [header, 'name', [], 'more'],
      [{ v: 3 }, 'name', []],
      [{ ...header, v: 2 }, 'name', []],
      [{ ...header, message_id: 7 }, 'name', []],
      [{ ...header, message_id: 'x'.repeat(65) }, 'name', []],
      [{ ...header, response_to: {} }, 'name', []],
      [header, 7, []],
      [header, 'n'.repeat(300), []],
      [null, 'name', []],
    ]
    for (const value of wrong) expectRefused(encode(value), JSON.stringify(value))
  })

  it('cannot take memory by what it announces, or set a prototype', () => {
    expectRefused(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]), 'an array of four billion')
    expectRefused(Buffer.concat([Buffer.alloc(100_000, 0x91), Buffer.from([0xc0])]), 'nested 100,000 deep')
    expectRefused(Buffer.alloc(200_000, 0xdc), 'arrays of arrays')
    const header = { message_id: 'a', v: 3, ['__proto__']: { polluted: true } }
    try {
      decodeEvent(encode([header, 'name', []]))
    } catch (error) {
      expect(error).to.be.instanceOf(Failure)
    }
    expect(({} as { polluted?: boolean }).polluted).to.equal(undefined)
  })

  it('survives 20,000 random and mutated inputs with typed errors only', function () {
    this.timeout(30_000)
    const chance = seededChance(2026)
    const good = Buffer.from(encodeEvent(event))
    let decoded = 0
    for (let i = 0; i < 20_000; i++) {
      const input = i % 2 === 0 ? seededBytes(i, Math.floor(chance() * 120)) : mutated(good, chance)
      try {
        decodeEvent(input)
        decoded++
      } catch (error) {
        expect(error, input.toString('hex')).to.be.instanceOf(Failure).with.property('code', 'bad-format')
      }
    }
    expect(decoded, 'some mutations do no harm').to.be.greaterThan(100)
  })
})

function mutated(bytes: Buffer, chance: () => number): Buffer {
  const copy = Buffer.from(bytes)
  for (let n = 1 + Math.floor(chance() * 4); n > 0; n--)
    copy[Math.floor(chance() * copy.length)] = Math.floor(chance() * 256)
  return chance() < 0.2 ? copy.subarray(0, Math.floor(chance() * copy.length)) : copy
}

function expectRefused(bytes: Uint8Array, what: string): void {
  expect(() => decodeEvent(bytes), what)
    .to.throw(Failure)
    .with.property('code', 'bad-format')
}
