import { expect } from 'chai'
import fc from 'fast-check'
import { Failure } from '../../lib/base/errors.ts'
import { formatBytes, formatDuration, parseDuration, parseSize } from '../../lib/base/units.ts'

describe('units', () => {
  it('multiply sizes by powers of 1024, whatever the case', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 999_999 }),
        fc.constantFrom('', 'k', 'K', 'm', 'M', 'g', 'G'),
        (n, unit) => {
          const power = ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase())
          expect(parseSize(`${n}${unit}`, '-c')).to.equal(n * 1024 ** power)
        },
      ),
    )
  })

  it('multiply seconds by 1000, and leave milliseconds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999 }), (n) => {
        expect(parseDuration(`${n}s`, '--from')).to.equal(n * 1000)
        expect(parseDuration(`${n}ms`, '--from')).to.equal(n)
      }),
    )
  })

  it('turn any text into a positive number or a failure that quotes it', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const parse of [parseSize, parseDuration]) {
          try {
            expect(parse(text, '-c')).to.be.within(Number.MIN_VALUE, Number.MAX_SAFE_INTEGER)
          } catch (error) {
            expect(error).to.be.instanceOf(Failure).and.to.include({ code: 'bad-argument' })
            expect((error as Failure).message)
              .to.include('expected -c to be')
              .and.to.include(`got "${text}"`)
          }
        }
      }),
    )
  })

  it('refuse a size that no number holds exactly', () => {
    expect(parseSize('8388607g', '-c')).to.equal(8388607 * 1024 ** 3)
    expect(() => parseSize('8388608g', '-c')).to.throw(Failure, /got "8388608g"/)
  })

  it('show a duration from which its tenths can be read again', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1e9 }), (ms) => {
        const match = /^(\d+):([0-5]\d):([0-5]\d)\.(\d)$/.exec(formatDuration(ms))
        const [hours = 0, minutes = 0, seconds = 0, tenths = 0] = (match ?? []).slice(1).map(Number)
        expect(((hours * 60 + minutes) * 60 + seconds) * 1000 + tenths * 100).to.equal(ms - (ms % 100))
      }),
    )
  })

  it('show bytes in the largest unit of which there is at least one', () => {
    expect([1024 ** 2, 1024 ** 3, 1024 ** 4, 2048 * 1024 ** 4].map(formatBytes)).to.deep.equal([
      '1.0 MiB',
      '1.0 GiB',
      '1.0 TiB',
      '2048.0 TiB',
    ])
  })
})
