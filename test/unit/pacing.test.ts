import { expect } from 'chai'
import { Failure } from '../../lib/base/errors.ts'
import type { Track } from '../../lib/stream/descriptor.ts'
import { type ChunkRecord, chunkStart } from '../../lib/stream/records.ts'
import { type Pace, Pacer } from '../../lib/streamer/pacing.ts'

const track: Track = { id: 1, type: 'video', codec: 'avc1', timescale: 1000 }

function recordAt(ms: number | undefined): ChunkRecord {
  const times =
    ms === undefined ? [] : [{ track: 1, decodeStart: ms, decodeEnd: ms + 40, presentStart: ms, presentEnd: ms + 40 }]
  return { sizeBytes: 1, digest: new Uint8Array(32), start: chunkStart.fragment, times }
}

/** When each chunk is written if the output takes `writeMs` for each. */
function writtenAt(pace: Pace, records: ChunkRecord[], writeMs: number): number[] {
  const pacer = new Pacer(pace, [track])
  let now = 1000
  return records.map((record) => {
    now += pacer.delayMs(record, now)
    const at = now - 1000
    now += writeMs
    return at
  })
}

describe('the pace of a streamer', () => {
  it('is that of the output when none is given', () => {
    expect(writtenAt({ kind: 'free' }, [recordAt(0), recordAt(5000), recordAt(9000)], 3)).to.deep.equal([0, 3, 6])
  })

  it('is one chunk an interval, without drift', () => {
    const records = Array.from({ length: 5 }, () => recordAt(undefined))
    expect(writtenAt({ kind: 'interval', intervalMs: 100 }, records, 30)).to.deep.equal([0, 100, 200, 300, 400])
    expect(writtenAt({ kind: 'interval', intervalMs: 100 }, records, 150)).to.deep.equal([0, 150, 300, 450, 600])
  })

  it('follows the times of the chunks, from the first one on; a chunk within a fragment goes with it', () => {
    const records = [recordAt(60_000), recordAt(undefined), recordAt(62_000), recordAt(63_500)]
    expect(writtenAt({ kind: 'realtime' }, records, 10)).to.deep.equal([0, 10, 2000, 3500])
  })

  it('does not hurry to catch up after the output stood still', () => {
    const pacer = new Pacer({ kind: 'interval', intervalMs: 100 }, [])
    expect(pacer.delayMs(recordAt(undefined), 0)).to.equal(0)
    pacer.shift(5000)
    expect(pacer.delayMs(recordAt(undefined), 5000)).to.equal(100)
  })

  it('refuses --realtime for plain bytes', () => {
    expect(() => new Pacer({ kind: 'realtime' }, [])).to.throw(Failure, /--interval/)
  })
})
