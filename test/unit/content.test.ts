import { expect } from 'chai'
import fc from 'fast-check'
import { digestOf } from '../../lib/base/digest.ts'
import { Failure } from '../../lib/base/errors.ts'
import { ByteChunker, FragmentChunker } from '../../lib/media/chunker.ts'
import { ContentCipher, initOverheadBytes, newContentKey, nonceBytes, tagBytes } from '../../lib/stream/content.ts'
import { Descriptor } from '../../lib/stream/descriptor.ts'
import { Page } from '../../lib/stream/page.ts'
import { chunkStart } from '../../lib/stream/records.ts'
import { Signer } from '../../lib/stream/signing.ts'
import { openContent } from '../../lib/streamer/content.ts'
import { chunkAfterBytes } from '../../lib/streamer/position.ts'
import type { KnownStream } from '../../lib/transfer/known-stream.ts'
import { seededBytes } from '../support/seeded.ts'

const signer = new Signer(Buffer.alloc(32, 7))
const key = Buffer.alloc(32, 1)
const streamId = Buffer.alloc(32, 2)
const cipher = new ContentCipher(key, { streamId, epoch: 3 })
const plain = seededBytes(5, 1000)

function refused(work: () => unknown): void {
  expect(work)
    .to.throw(Failure)
    .that.satisfies(({ code }: Failure) => code === 'bad-key')
}

describe('encrypted content', () => {
  it('is what it was after it travelled, and shows nothing of it on the way', () => {
    const { nonce, bytes } = cipher.encryptChunk(9, plain)
    expect(nonce.length).to.equal(nonceBytes)
    expect(bytes.length).to.equal(plain.length + tagBytes)
    for (let at = 0; at + 8 <= plain.length; at += 8) expect(bytes.includes(plain.subarray(at, at + 8))).to.equal(false)
    expect(cipher.decryptChunk(9, nonce, bytes).equals(plain)).to.equal(true)
    const init = cipher.encryptInit(plain)
    expect(init.length).to.equal(plain.length + initOverheadBytes)
    expect(init.includes(plain.subarray(0, 8))).to.equal(false)
    expect(cipher.decryptInit(init).equals(plain)).to.equal(true)
    expect(cipher.decryptInit(cipher.encryptInit(new Uint8Array())).length).to.equal(0)
  })

  it('has a fresh nonce and other ciphertext each time', () => {
    const made = Array.from({ length: 1000 }, () => cipher.encryptChunk(0, plain))
    expect(new Set(made.map(({ nonce }) => nonce.toString('hex'))).size).to.equal(1000)
    expect(new Set(made.map(({ bytes }) => bytes.toString('hex'))).size).to.equal(1000)
    expect(newContentKey().equals(newContentKey())).to.equal(false)
  })

  it('is refused when a bit of ciphertext, tag or nonce was changed, or it was cut', () => {
    const { nonce, bytes } = cipher.encryptChunk(9, plain.subarray(0, 40))
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      refused(() => cipher.decryptChunk(9, nonce, changed))
    }
    for (let at = 0; at < nonceBytes; at++) {
      const changed = Buffer.from(nonce)
      changed[at] = (changed[at] ?? 0) ^ 1
      refused(() => cipher.decryptChunk(9, changed, bytes))
    }
    for (let length = 0; length < bytes.length; length++)
      refused(() => cipher.decryptChunk(9, nonce, bytes.subarray(0, length)))
    refused(() => cipher.decryptChunk(9, nonce, Buffer.concat([bytes, Buffer.alloc(1)])))
    for (let length = 0; length < initOverheadBytes; length++) refused(() => cipher.decryptInit(Buffer.alloc(length)))
  })

  it('is refused at another index, epoch or stream, for another chunk, as an init segment, or with another key', () => {
    const { nonce, bytes } = cipher.encryptChunk(9, plain)
    const other = cipher.encryptChunk(10, plain)
    refused(() => cipher.decryptChunk(10, nonce, bytes))
    refused(() => cipher.decryptChunk(9, other.nonce, other.bytes))
    refused(() => new ContentCipher(key, { streamId, epoch: 4 }).decryptChunk(9, nonce, bytes))
    refused(() => new ContentCipher(key, { streamId: Buffer.alloc(32, 3), epoch: 3 }).decryptChunk(9, nonce, bytes))
    refused(() => new ContentCipher(Buffer.alloc(32, 9), { streamId, epoch: 3 }).decryptChunk(9, nonce, bytes))
    refused(() => cipher.decryptInit(Buffer.concat([nonce, bytes])))
    const init = cipher.encryptInit(plain)
    refused(() => cipher.decryptChunk(0, init.subarray(0, nonceBytes), init.subarray(nonceBytes)))
    refused(() => new ContentCipher(key, { streamId, epoch: 4 }).decryptInit(init))
  })

  it('stays within the limit of a chunk as stored, whatever the limit and the input', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 12 }),
        fc.integer({ min: 256, max: 1500 }),
        (lengths, sizeBytes) => {
          const pieces = lengths.map((length, i) => seededBytes(i + 1, length))
          const exact = new ByteChunker(sizeBytes - tagBytes)
          const fragments = new FragmentChunker({ sizeBytes }, [], tagBytes)
          const stored = { exact: [] as Buffer[], fragments: [] as Buffer[] }
          const opened: Buffer[] = []
          for (const bytes of pieces) {
            for (const chunk of exact.push(bytes)) stored.exact.push(cipher.encryptChunk(0, chunk.bytes).bytes)
            for (const chunk of [
              ...fragments.begin({ sizeBytes: bytes.length, isKeyframe: true, times: [] }),
              ...fragments.push(bytes),
            ])
              stored.fragments.push(cipher.encryptChunk(0, chunk.bytes).bytes)
          }
          for (const chunk of exact.end()) stored.exact.push(cipher.encryptChunk(0, chunk.bytes).bytes)
          for (const chunk of fragments.end()) {
            const { nonce, bytes } = cipher.encryptChunk(0, chunk.bytes)
            stored.fragments.push(bytes)
            opened.push(cipher.decryptChunk(0, nonce, bytes))
          }
          const total = lengths.reduce((sum, length) => sum + length, 0)
          for (const chunks of Object.values(stored)) {
            expect(Math.max(0, ...chunks.map((chunk) => chunk.length))).to.be.at.most(sizeBytes)
            expect(chunks.reduce((sum, chunk) => sum + chunk.length - tagBytes, 0)).to.equal(total)
          }
          // All but the last are full.
          expect(stored.exact.slice(0, -1).every((chunk) => chunk.length === sizeBytes)).to.equal(true)
          expect(opened.every((bytes) => bytes.length <= sizeBytes - tagBytes)).to.equal(true)
        },
      ),
    )
  })

  it('has its places in the output counted in plaintext, from every byte of it, across pages', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(30), fc.integer({ min: 1, max: 5 }), async (lengths, initBytes, pageRecords) => {
        const { stream, pieces, init } = publish(lengths, initBytes, pageRecords)
        const output = Buffer.concat([init, ...pieces])
        const starts = pieces.map((_, i) => init.length + Buffer.concat(pieces.slice(0, i)).length)
        for (let bytes = 0; bytes <= output.length + 1; bytes++) {
          const { index, offset } = await chunkAfterBytes(stream, bytes)
          if (bytes < init.length) expect({ index, offset }).to.deep.equal({ index: 0, offset: 0 })
          else if (bytes >= output.length) {
            expect({ index, offset }).to.deep.equal({ index: pieces.length, offset: output.length })
          } else {
            expect(offset).to.equal(starts[index])
            expect(bytes).to.be.within(offset, offset + (pieces[index]?.length ?? 0) - 1)
          }
        }
      }),
      { numRuns: 50 },
    )
  })

  it('is opened run by run, all of a run or a part of it', () => {
    const { page, pieces, stored, descriptor, init } = publish([10, 1, 300, 25], 17, 10)
    const content = openContent(descriptor, key)
    expect(Buffer.from(content.init).equals(init)).to.equal(true)
    for (let first = 0; first < 4; first++) {
      for (let end = first + 1; end <= 4; end++) {
        const opened = content.of(page, first, end - first, Buffer.concat(stored.slice(first, end)))
        expect(Buffer.compare(opened, Buffer.concat(pieces.slice(first, end)))).to.equal(0)
      }
    }
    refused(() => openContent(descriptor, undefined))
    refused(() => openContent(descriptor, newContentKey()))
  })

  it('of a stream that is not encrypted is its bytes, with a content key in the link or without', () => {
    const { page, descriptor } = publish([10], 0, 10)
    const { encrypted: _, ...fields } = descriptor.fields
    const open = Descriptor.make({ ...fields, init: Buffer.from('init') }, signer)
    for (const contentKey of [undefined, key]) {
      const content = openContent(open, contentKey)
      expect(content.init).to.deep.equal(Buffer.from('init'))
      expect(content.of(page, 0, 1, plain)).to.equal(plain)
    }
  })
})

/** An encrypted stream of chunks with plaintexts of these lengths, in pages of `pageRecords`, as a streamer knows it. */
function publish(lengths: number[], initBytes: number, pageRecords: number) {
  const init = seededBytes(99, initBytes)
  const pieces = lengths.map((length, i) => seededBytes(i + 1, length))
  const fields = {
    ...{ name: 'film', epoch: 1, kind: 'on-demand' as const, format: 'bytes' as const, ending: '', tracks: [] },
    ...{ durationMs: 0, pageRecords, chunkCount: pieces.length, init: new Uint8Array(), chunkBytes: 0 },
  }
  const content = new ContentCipher(key, { streamId: Descriptor.make(fields, signer).streamId, epoch: 1 })
  const encrypted = pieces.map((piece, index) => content.encryptChunk(index, piece))
  const stored = encrypted.map(({ bytes }) => bytes)
  const storedInit = content.encryptInit(init)
  const chunkBytes = Buffer.concat(stored).length
  const descriptor = Descriptor.make({ ...fields, init: storedInit, chunkBytes, encrypted: true }, signer)
  const pages: Page[] = []
  for (let first = 0; first < pieces.length; first += pageRecords) {
    const offset = storedInit.length + Buffer.concat(stored.slice(0, first)).length
    const last = first + pageRecords >= pieces.length
    const records = encrypted.slice(first, first + pageRecords).map(({ nonce, bytes }) => {
      return { sizeBytes: bytes.length, digest: digestOf(bytes), start: chunkStart.continues, times: [], nonce }
    })
    pages.push(Page.make({ streamId: descriptor.streamId, epoch: 1, first, offset, last }, records, signer))
  }
  const [page] = pages
  if (!page) throw new Error('a stream has at least one chunk')
  const stream: KnownStream = { descriptor, page: async (index) => pages[Math.floor(index / pageRecords)] ?? page }
  return { stream, descriptor, page, pieces, stored, init }
}
