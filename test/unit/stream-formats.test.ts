import { decode, encode } from '@msgpack/msgpack'
import { expect } from 'chai'
import { Failure } from '../../lib/base/errors.ts'
import { limits } from '../../lib/base/limits.ts'
import { parseAddress } from '../../lib/stream/address.ts'
import { ContentCipher, initOverheadBytes, newContentKey, nonceBytes, tagBytes } from '../../lib/stream/content.ts'
import { Descriptor } from '../../lib/stream/descriptor.ts'
import { formatLink, parseLink } from '../../lib/stream/links.ts'
import { nameFrom, parseName } from '../../lib/stream/names.ts'
import { Page } from '../../lib/stream/page.ts'
import { type ChunkRecord, chunkStart } from '../../lib/stream/records.ts'
import { cutRuns, runAt } from '../../lib/stream/runs.ts'
import { seal } from '../../lib/stream/signed.ts'
import { Signer } from '../../lib/stream/signing.ts'
import { makePage } from '../support/pages.ts'
import { seededChance } from '../support/seeded.ts'

const signer = new Signer(Buffer.alloc(32, 7))
const fields = {
  name: 'film',
  epoch: 1,
  kind: 'on-demand' as const,
  format: 'bytes' as const,
  ending: 'bin',
  init: new Uint8Array(),
  tracks: [],
  chunkCount: 10,
  chunkBytes: 1000,
  durationMs: 0,
  pageRecords: 1024,
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return error instanceof Failure ? error.code : String(error)
  }
}

describe('a page', () => {
  it('is the same after it travelled', () => {
    const { page, chunks } = makePage(5, 100)
    const { verifier } = Descriptor.make(fields, signer)
    const opened = Page.open(page.signed, { verifier, stream: page.stream, name: 'film' })
    expect(opened.count).to.equal(5)
    expect(opened.offsetOf(3)).to.equal(300)
    expect(opened.firstWrong(0, 5, Buffer.concat(chunks))).to.equal(-1)
  })

  it('keeps the times of tracks', () => {
    const times = [{ track: 1, decodeStart: 0, decodeEnd: 90, presentStart: 3, presentEnd: 93 }]
    const page = Page.make(
      { streamId: Buffer.alloc(32), epoch: 1, first: 0, offset: 0, last: true },
      [
        { sizeBytes: 5, digest: Buffer.alloc(32), start: chunkStart.keyframe, times },
        { sizeBytes: 5, digest: Buffer.alloc(32), start: chunkStart.continues, times: [] },
      ],
      signer,
    )
    expect(page.record(0).times).to.deep.equal(times)
    expect(page.record(0).start).to.equal(chunkStart.keyframe)
    expect(page.record(1).times).to.deep.equal([])
  })

  it('keeps the nonces of encrypted chunks, of all or of none', () => {
    const nonces = [Buffer.alloc(nonceBytes, 1), Buffer.alloc(nonceBytes, 2)]
    const page = pageOf([{ nonce: nonces[0] }, { nonce: nonces[1] }])
    const opened = Page.open(page.signed, {
      verifier: Descriptor.make(fields, signer).verifier,
      stream: page.stream,
      name: 'film',
    })
    expect([0, 1].map((index) => Buffer.from(opened.record(index).nonce ?? []))).to.deep.equal(nonces)
    expect(pageOf([{}, {}]).record(1).nonce).to.equal(undefined)
    expect(codeOf(() => pageOf([{ nonce: nonces[0] }, {}]))).to.equal('bad-format')
    expect(
      codeOf(() => pageOf([{ nonce: nonces[0], sizeBytes: tagBytes }])),
      'a chunk that is all tag',
    ).to.equal('bad-format')
  })

  it('is valid without the column of nonces, as pages were before, and with no other number of columns', () => {
    const { verifier, stream } = Descriptor.make(fields, signer)
    const { page, chunks } = makePage(3, 50)
    const columns = decode(page.signed.body) as unknown[]
    expect(columns[5]).to.equal(null)
    const open = (body: unknown[]) =>
      Page.open(seal('page', encode(body), signer), { verifier, stream: page.stream, name: 'film' })
    const old = open(columns.slice(0, 5))
    expect(old.stream).to.equal(stream)
    expect(old.firstWrong(0, 3, Buffer.concat(chunks))).to.equal(-1)
    expect(old.record(0).nonce).to.equal(undefined)
    for (const body of [
      columns.slice(0, 4),
      [...columns, null],
      [...columns.slice(0, 5), new Uint8Array(3 * nonceBytes - 1)],
      [...columns.slice(0, 5), 'x'.repeat(3 * nonceBytes)],
      [...columns.slice(0, 5), false],
    ])
      expect(codeOf(() => open(body))).to.equal('bad-format')
  })

  it('names the first wrong chunk', () => {
    const { page, chunks } = makePage(5, 100)
    const bytes = Buffer.concat(chunks)
    bytes[250] = (bytes[250] ?? 0) ^ 1
    expect(page.firstWrong(0, 5, bytes)).to.equal(2)
    expect(page.firstWrong(0, 2, bytes.subarray(0, 200))).to.equal(-1)
    expect(page.firstWrong(0, 2, bytes.subarray(0, 199))).to.equal(0)
  })

  it('is refused when signed by another key, or of another epoch', () => {
    const { page } = makePage(2, 100)
    const other = Descriptor.make(fields, new Signer(Buffer.alloc(32, 8)))
    expect(
      codeOf(() => Page.open(page.signed, { verifier: other.verifier, stream: page.stream, name: 'film' })),
    ).to.equal('bad-signature')
    const { verifier } = Descriptor.make(fields, signer)
    expect(codeOf(() => Page.open(page.signed, { verifier, stream: 'x/2', name: 'film' }))).to.equal('stream-changed')
  })

  it('is refused in a wrong form, even when signed', () => {
    const { verifier, stream } = Descriptor.make(fields, signer)
    const chance = seededChance(11)
    const good = makePage(3, 50).page.signed.body
    for (let round = 0; round < 2000; round++) {
      const body = Buffer.from(good)
      for (let flips = 0; flips < 3; flips++) body[Math.floor(chance() * body.length)] = Math.floor(chance() * 256)
      const code = codeOf(() => Page.open(seal('page', body, signer), { verifier, stream, name: 'film' }))
      expect(code).to.be.oneOf([undefined, 'bad-format', 'stream-changed'])
    }
    expect(
      codeOf(() => Page.open(seal('page', encode([1, 2, 3, 4, 5]), signer), { verifier, stream, name: 'film' })),
    ).to.equal('bad-format')
  })
})

describe('a descriptor', () => {
  it('is the same after it travelled', () => {
    const made = Descriptor.make(fields, signer)
    const opened = Descriptor.open(made.signed)
    expect(opened.stream).to.equal(made.stream)
    expect(opened.fields.chunkCount).to.equal(10)
    expect(opened.publicKey.equals(signer.publicKey)).to.equal(true)
  })

  it('is refused when a bit was changed', () => {
    const { body, signature } = Descriptor.make(fields, signer).signed
    for (let at = 0; at < body.length; at++) {
      const changed = Buffer.from(body)
      changed[at] = (changed[at] ?? 0) ^ 4
      expect(
        codeOf(() => Descriptor.open({ body: changed, signature })),
        `byte ${at}`,
      ).to.be.oneOf(['bad-signature', 'bad-format', 'bad-argument'])
    }
  })

  it('says that the stream is encrypted, and is refused without what a key is tried on', () => {
    expect(Descriptor.open(Descriptor.make(fields, signer).signed).isEncrypted).to.equal(false)
    const plain = Descriptor.make(fields, signer)
    const init = new ContentCipher(newContentKey(), plain).encryptInit(Buffer.from('init'))
    const made = Descriptor.make({ ...fields, init, encrypted: true }, signer)
    const opened = Descriptor.open(made.signed)
    expect(opened.isEncrypted).to.equal(true)
    expect(opened.outputOffset(0, init.length)).to.equal(4)
    const short = Descriptor.make({ ...fields, init: init.subarray(0, initOverheadBytes - 1), encrypted: true }, signer)
    expect(codeOf(() => Descriptor.open(short.signed))).to.equal('bad-format')
    const wrong = { ...fields, init, encrypted: 'yes' as unknown as boolean }
    expect(codeOf(() => Descriptor.open(Descriptor.make(wrong, signer).signed))).to.equal('bad-format')
  })

  it('does not pass as a page', () => {
    const { signed, verifier, stream } = Descriptor.make(fields, signer)
    expect(codeOf(() => Page.open(signed, { verifier, stream, name: 'film' }))).to.equal('bad-signature')
  })
})

describe('runs', () => {
  it('cut a page of small chunks into pieces of at most 2 MiB, the same from every chunk of it', () => {
    const { page } = makePage(1024, 5 * 1024)
    const run = runAt(page, 300)
    expect(page.bytesOf(run.first, run.count)).to.be.at.most(2 * 1024 * 1024)
    expect(run.first).to.be.at.most(300)
    expect(run.first + run.count).to.be.above(300)
    expect(runAt(page, run.first)).to.deep.equal(run)
    expect(runAt(page, run.first + run.count - 1)).to.deep.equal(run)
  })

  it('are short at the start of a stream, and no longer than they were behind it', () => {
    const kB = Array.from({ length: 20 }, () => 100)
    expect([...cutRuns(kB, 800, 200)], 'of 2, 4, 8 chunks, and of 8 from there on').to.deep.equal([0, 2, 6, 14])
    expect([...cutRuns(kB, 800)]).to.deep.equal([0, 8, 16])
    const { page } = makePage(1024, 5 * 1024)
    expect(page.bytesOf(0, runAt(page, 0).count)).to.be.at.most(256 * 1024)
  })

  it('of a film hold what plays in four seconds, within 256 KiB and 2 MiB', () => {
    const runBytes = (bytesPerSec: number, durationMs = 60_000) =>
      Descriptor.make({ ...fields, chunkBytes: (bytesPerSec * durationMs) / 1000, durationMs }, signer).runBytes
    expect(runBytes(250_000)).to.equal(1_000_000)
    expect(runBytes(10_000)).to.equal(limits.firstRunBytes)
    expect(runBytes(5_000_000)).to.equal(limits.runBytes)
    expect(Descriptor.make({ ...fields, durationMs: 0 }, signer).runBytes, 'plain bytes').to.equal(limits.runBytes)
    const { page } = makePage(1024, 5 * 1024)
    const { verifier, name } = Descriptor.make(fields, signer)
    const opened = Page.open(page.signed, { verifier, stream: page.stream, name, runBytes: 1_000_000 })
    const run = runAt(opened, 500)
    expect(opened.bytesOf(run.first, run.count)).to.be.within(900_000, 1_000_000)
  })

  it('hold one chunk each when chunks are large', () => {
    const { page } = makePage(3, 2 * 1024 * 1024)
    expect([0, 1, 2].map((index) => runAt(page, index).count)).to.deep.equal([1, 1, 1])
  })
})

describe('names and links', () => {
  it('take what is safe as a folder name and refuse the rest', () => {
    expect(parseName('a.film-2_x')).to.equal('a.film-2_x')
    for (const bad of ['', '.', '..', '../x', 'a/b', '.hidden', 'a\0b', 'x'.repeat(129), 'é']) {
      expect(
        codeOf(() => parseName(bad)),
        JSON.stringify(bad),
      ).to.equal('bad-argument')
    }
  })

  it('are made from file names', () => {
    expect(nameFrom('My Film (2024)', 'film')).to.equal('My_Film_2024_')
    expect(nameFrom('../..', 'film')).to.equal('film')
  })

  it('carry address, name and key', () => {
    const text = formatLink('tcp://127.0.0.1:7999', 'film', signer.publicKey)
    const link = parseLink(text)
    expect(link.address).to.equal('tcp://127.0.0.1:7999')
    expect(link.name).to.equal('film')
    expect(link.key?.equals(signer.publicKey)).to.equal(true)
    expect(link.contentKey).to.equal(undefined)
    expect(parseLink('tcp://[::1]:8000').address).to.equal('tcp://[::1]:8000')
    for (const bad of ['http://x:1', 'tcp://x', 'tcp://x:70000', 'tcp://x:1/a b', 'tcp://x:1/film#short']) {
      expect(
        codeOf(() => parseLink(bad)),
        bad,
      ).to.equal('bad-argument')
    }
  })

  it('carry a content key behind the key, and never show it when they are wrong', () => {
    const contentKey = newContentKey()
    const text = formatLink('tcp://127.0.0.1:7999', 'film', signer.publicKey, contentKey)
    expect(text).to.match(/^tcp:\/\/127\.0\.0\.1:7999\/film#[\w-]{43}\.[\w-]{43}$/)
    const link = parseLink(text)
    expect(link.key?.equals(signer.publicKey)).to.equal(true)
    expect(link.contentKey?.equals(contentKey)).to.equal(true)
    const key = signer.publicKey.toString('base64url')
    const secret = contentKey.toString('base64url')
    for (const bad of [
      `tcp://x:1/film#.${secret}`,
      `tcp://x:1/film#${key}.`,
      `tcp://x:1/film#${key}.${secret}A`,
      `tcp://x:1/film#${key}.${secret}.${secret}`,
      `tcp://x:1/film#${key}${secret}`,
      `tcp://x:1/film#${key}:${secret}`,
      `http://x:1/film#${key}.${secret}`,
      `tcp://x:1/fi lm#${key}.${secret}`,
    ]) {
      expect(() => parseLink(bad), bad)
        .to.throw(Failure)
        .that.satisfies(
          ({ code, message }: Failure) => code === 'bad-argument' && !message.includes(secret.slice(0, 9)),
        )
    }
    expect(() => parseAddress(text))
      .to.throw(Failure)
      .that.satisfies(({ message }: Failure) => !message.includes(secret))
    expect(() => parseName(text))
      .to.throw(Failure)
      .that.satisfies(({ message }: Failure) => !message.includes(secret))
  })
})

/** A page of these records, and of what they leave out. */
function pageOf(records: Partial<ChunkRecord>[]): Page {
  const { streamId } = Descriptor.make(fields, signer)
  const whole = { sizeBytes: 50, digest: Buffer.alloc(32), start: chunkStart.continues, times: [] }
  return Page.make(
    { streamId, epoch: 1, first: 0, offset: 0, last: true },
    records.map((record) => ({ ...whole, ...record })),
    signer,
  )
}
