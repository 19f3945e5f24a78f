import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { newContentKey } from '../../lib/stream/content.ts'
import { formatLink, type Link, parseLink } from '../../lib/stream/links.ts'
import type { Output } from '../../lib/streamer/output.ts'
import { type StreamOptions, streamTo } from '../../lib/streamer/stream.ts'
import { captureFailure } from '../support/failures.ts'
import { type Published, publishBytes, sha256, streamFrom, TestNetwork } from '../support/network.ts'

describe('an encrypted stream', () => {
  const network = new TestNetwork()
  afterEach(() => network.close())

  it('arrives as it was, and lies readable on no disk on its way, nor does its key', async () => {
    const source = await network.source()
    const relay = await network.relay('relay', [source.address])
    const leaf = await network.relay('leaf', [relay.address, source.address])
    const contentKey = newContentKey()
    const film = await publishBytes(source.directory, 'film', { count: 30, sizeBytes: 70_000, contentKey })
    const { sha256: seen, summary } = await streamFrom(leaf, 'film', { source: linkTo(leaf, film, contentKey) })
    expect(seen).to.equal(film.sha256)
    expect(summary.bytes).to.equal(film.sizeBytes)
    for (const node of [relay, leaf]) expect(node.stats().bytesFrom.master).to.be.greaterThan(film.sizeBytes)
    await network.stop()
    for (const { directory } of [source, relay, leaf]) {
      expect(await bytesUnder(directory), 'it is there').to.be.greaterThan(film.sizeBytes)
      expect(await foundUnder(directory, [...needlesOf(film), ...writingsOf(contentKey)])).to.deep.equal([])
    }
  })

  it('would be found by that search if it were not encrypted', async () => {
    const source = await network.source()
    const relay = await network.relay('relay', [source.address])
    const film = await publishBytes(source.directory, 'film', { count: 30, sizeBytes: 70_000 })
    await streamFrom(relay, 'film')
    await network.stop()
    for (const { directory } of [source, relay])
      expect(await foundUnder(directory, needlesOf(film))).to.have.length(needlesOf(film).length)
  })

  it('is relayed by who has no content key, and refused to a viewer without the right one before anything is written', async () => {
    const source = await network.source()
    const contentKey = newContentKey()
    const film = await publishBytes(source.directory, 'film', { count: 5, sizeBytes: 1000, contentKey })
    const relay = await network.relay('relay', [source.address])
    const wrong = newContentKey()
    for (const [given, message] of [
      [undefined, /^film is encrypted; give --source the whole link/],
      [wrong, /^the content key in the link does not decrypt film/],
    ] as const) {
      for (const options of [{}, { resumeFrom: 2500 }, { resumeFrom: 5000 }, { from: { index: 4 } }]) {
        const output = untouched()
        const failure = await captureFailure(
          streamTo({ source: linkTo(relay, film, given), name: 'film', output, ...options }),
        )
        expect(failure.code).to.equal('bad-key')
        expect(failure.message).to.match(message).and.not.include(wrong.toString('base64url'))
        expect(output.touched).to.deep.equal([])
      }
    }
  })

  it('is opened by no link of an earlier publication', async () => {
    const source = await network.source()
    const contentKey = newContentKey()
    const before = await publishBytes(source.directory, 'film', { count: 5, sizeBytes: 1000, contentKey })
    const fresh = newContentKey()
    const again = { count: 5, sizeBytes: 1000, seed: 2, replace: true, contentKey: fresh }
    const film = await publishBytes(source.directory, 'film', again)
    const failure = await captureFailure(streamFrom(source, 'film', { source: linkTo(source, before, contentKey) }))
    expect(failure.code).to.equal('bad-key')
    const { sha256: seen } = await streamFrom(source, 'film', { source: linkTo(source, film, fresh) })
    expect(seen).to.equal(film.sha256)
  })

  it('is streamed from a chunk, for a number of chunks, paced, and on from where an output ends', async () => {
    const source = await network.source()
    const contentKey = newContentKey()
    const film = await publishBytes(source.directory, 'film', { count: 1500, sizeBytes: 300, contentKey })
    const relay = await network.relay('relay', [source.address])
    const part = async (options: Partial<StreamOptions>, first: number, end: number) => {
      const { sha256: seen, summary } = await streamFrom(relay, 'film', {
        source: linkTo(relay, film, contentKey),
        ...options,
      })
      expect(seen, JSON.stringify(options)).to.equal(sha256(Buffer.concat(film.chunks.slice(first, end))))
      expect(summary).to.include({ chunks: end - first, bytes: (end - first) * 300 })
    }
    await part({ from: { index: 1030 }, count: 7 }, 1030, 1037)
    await part({ from: { index: 3 }, count: 5, intervalMs: 1 }, 3, 8)
    for (const [bytes, index] of [
      [300 * 1024 - 1, 1023],
      [300 * 1024, 1024],
      [300 * 1499 + 299, 1499],
      [300 * 1500, 1500],
    ] as const) {
      const cuts: number[] = []
      const output = { ...untouched(), truncate: async (sizeBytes: number) => void cuts.push(sizeBytes) }
      const written: Uint8Array[] = []
      output.write = async (piece) => void written.push(Uint8Array.from(piece))
      await streamTo({ source: linkTo(relay, film, contentKey), name: 'film', output, resumeFrom: bytes })
      expect(cuts).to.deep.equal([index * 300])
      expect(Buffer.concat(written).equals(Buffer.concat(film.chunks.slice(index)))).to.equal(true)
    }
  })
})

function linkTo({ address }: { address: string }, { key }: Published, contentKey: Buffer | undefined): Link {
  return parseLink(formatLink(address, 'film', Buffer.from(key, 'base64url'), contentKey))
}

/** An output that tells what was done to it. */
function untouched(): Output & { touched: string[] } {
  const touched: string[] = []
  return {
    touched,
    closed: false,
    write: async () => void touched.push('write'),
    truncate: async () => void touched.push('truncate'),
    close: async () => {},
  }
}

/** Bytes from the beginning, the middle and the end of each chunk. */
function needlesOf({ chunks }: Published): Buffer[] {
  return chunks.flatMap((chunk) => [0, chunk.length / 2, chunk.length - 16].map((at) => chunk.subarray(at, at + 16)))
}

function writingsOf(key: Buffer): Buffer[] {
  return [key, ...(['base64url', 'base64', 'hex'] as const).map((form) => Buffer.from(key.toString(form).slice(0, 42)))]
}

async function filesUnder(directory: string): Promise<Buffer[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name))))
}

async function bytesUnder(directory: string): Promise<number> {
  return (await filesUnder(directory)).reduce((sum, file) => sum + file.length, 0)
}

/** Those of `needles` that some file under the directory holds. */
async function foundUnder(directory: string, needles: Buffer[]): Promise<Buffer[]> {
  const files = await filesUnder(directory)
  return needles.filter((needle) => files.some((file) => file.includes(needle)))
}
