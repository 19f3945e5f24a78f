import { connect } from 'node:net'
import { join } from 'node:path'
import { encode } from '@msgpack/msgpack'
import { expect } from 'chai'
import { pause, systemClock } from '../../lib/base/clock.ts'
import { Failure } from '../../lib/base/errors.ts'
import { decodeExtent, decodeSigned, decodeUses, encodeExtent, encodeSigned, encodeUses } from '../../lib/store/rows.ts'
import { splitAddress } from '../../lib/stream/address.ts'
import { Descriptor } from '../../lib/stream/descriptor.ts'
import { Page } from '../../lib/stream/page.ts'
import { seal } from '../../lib/stream/signed.ts'
import { Signer } from '../../lib/stream/signing.ts'
import { decodeEvent, encodeEvent } from '../../lib/zerorpc/event.ts'
import { figure, limitMs, note, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { publishBytes } from '../support/network.ts'
import { makePage } from '../support/pages.ts'
import { TestPrograms } from '../support/programs.ts'
import { seededChance } from '../support/seeded.ts'
import { noteVerdicts, Viewer } from '../support/viewer.ts'

/** Longest that one input may hold up the process, ms. */
const mostMs = 50

const signer = new Signer(Buffer.alloc(32, 7))
const descriptor = Descriptor.make(
  {
    ...{ name: 'film', epoch: 1, kind: 'on-demand', format: 'fmp4', ending: 'mp4', init: Buffer.alloc(40, 3) },
    tracks: [{ id: 1, type: 'video', codec: 'avc1.64001f', timescale: 90_000, width: 640, height: 360 }],
    ...{ chunkCount: 10, chunkBytes: 1000, durationMs: 1000, pageRecords: 1024 },
  },
  signer,
)
const { verifier, stream } = descriptor
const page = makePage(3, 50).page.signed.body
const extentKey = `x/${'ab'.repeat(32)}/${'1'.padStart(16, '0')}/${'7'.padStart(16, '0')}`
const extent = { first: 7, count: 3, mediaOffset: 700, bytes: 300, slab: 2, slabOffset: 4096 }
const event = {
  header: { message_id: 'abc', v: 3 as const, response_to: 'def', pf: 1 },
  name: 'get',
  args: ['film', 7],
}

/** What is decoded, from a good input of its kind. */
const doors: [string, Uint8Array, (input: Uint8Array) => unknown][] = [
  ['zerorpc events', encodeEvent(event), decodeEvent],
  ['pages', page, (body) => Page.open({ body, signature: Buffer.alloc(64) }, { verifier, stream, name: 'film' })],
  [
    'pages with a right signature',
    page,
    (body) => Page.open(seal('page', body, signer), { verifier, stream, name: 'f' }),
  ],
  ['descriptors', descriptor.signed.body, (body) => Descriptor.open({ body, signature: descriptor.signed.signature })],
  [
    'descriptors with a right signature',
    descriptor.signed.body,
    (body) => Descriptor.open(seal('descriptor', body, signer)),
  ],
  ['rows of extents', encodeExtent(extent), (value) => decodeExtent(extentKey, value)],
  ['rows of pages', encodeSigned({ body: page, signature: Buffer.alloc(64) }), decodeSigned],
  ['rows of uses', encodeUses([1, 2, 3, 4]), decodeUses],
]

describe(`wrong input (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))

  for (const [what, good, open] of doors) {
    it(`as ${what} is refused with a typed error, and at once`, () => {
      const chance = seededChance(seed)
      const count = figure(20_000, 2_000_000) / doors.length
      const takesMs = (input: Uint8Array): number => {
        const startedAt = performance.now()
        try {
          open(input)
        } catch (error) {
          if (!(error instanceof Failure)) throw new Error(`${Buffer.from(input).toString('hex')}: ${error}`)
        }
        return performance.now() - startedAt
      }
      for (let i = 0; i < count; i++) {
        const input = fuzzed(good, chance)
        // The machine may have been busy with something else; the same input is slow again only if it is its own fault.
        if (takesMs(input) > mostMs) expect(takesMs(input), Buffer.from(input).toString('hex')).to.be.at.most(mostMs)
      }
      note({ what: 'fuzz inputs', count: Math.ceil(count) })
    })
  }
})

describe(`a stranger on the port of a node (seed ${seed})`, function () {
  this.timeout(limitMs(180_000))
  const programs = new TestPrograms()
  afterEach(async () => {
    await programs.close()
    await removeFolders()
  })

  it('who sends anything at all ends neither the node nor the stream of an honest client', async () => {
    const folder = await makeFolder()
    const shape = { count: 400, sizeBytes: 32 * 1024, seed }
    const film = await publishBytes(join(folder, 'data'), 'film', shape)
    const source = await programs.node('source', ['--videodatabase', join(folder, 'data')])
    const relay = await programs.node('relay', ['--chunkdirectory', join(folder, 'chunks'), '--master', source.address])
    const viewer = new Viewer(programs, { address: relay.address, film: 'film', folder, intervalMs: 8 })
    await viewer.reached(5)
    const ping = Buffer.from(encode([{ message_id: 'm', v: 3 }, 'ping', []]))
    const polite = await visit(relay.address, [greeting, ready, message(ping)], false, patient)
    expect(polite.includes('relay'), 'what a stranger sends is heard').to.equal(true)
    const chance = seededChance(seed)
    const count = figure(2000, 50_000)
    let left = count
    const stranger = async () => {
      while (left-- > 0) await visit(relay.address, attack(chance), chance() < 0.1)
    }
    await Promise.all(Array.from({ length: 16 }, stranger))
    const stats = await relay.stats()
    expect(stats.name).to.equal('relay')
    expect(stats.peakMemoryBytes).to.be.at.most(400e6)
    noteVerdicts('fuzz inputs', count, [await viewer.verdict(film, `beside ${count} strangers, seed ${seed}`)])
  })
})

/** Random bytes, or the good ones with some changed, cut, doubled or put in. */
function fuzzed(good: Uint8Array, chance: () => number): Uint8Array {
  if (chance() < 0.25) return randomBytes(chance, Math.floor(chance() * 200))
  let bytes = Buffer.from(good)
  for (let n = 1 + Math.floor(chance() * 4); n > 0; n--) {
    const at = Math.floor(chance() * bytes.length)
    switch (Math.floor(chance() * 4)) {
      case 0:
        bytes[at] = Math.floor(chance() * 256)
        break
      case 1:
        bytes = bytes.subarray(0, at)
        break
      case 2:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          randomBytes(chance, Math.floor(chance() * 9)),
          bytes.subarray(at),
        ])
        break
      default:
        // Heads of arrays, maps, strings and binaries that announce much.
        bytes[at] = 0xc4 + Math.floor(chance() * 28)
    }
  }
  return bytes
}

function randomBytes(chance: () => number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(chance() * 256)))
}

/** ZMTP 3.0: greeting, then the READY command of the NULL mechanism. */
const greeting = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]),
  Buffer.from('NULL'.padEnd(20, '\0')),
  Buffer.alloc(32),
])
const readyBody = Buffer.from('\x05READY\x0bSocket-Type\0\0\0\x06DEALER', 'latin1')
const ready = Buffer.concat([Buffer.from([4, readyBody.length]), readyBody])
const methods = [
  'get',
  'register',
  'report',
  'pages',
  'query',
  'constructor',
  '__proto__',
  '_zpc_more',
  'describe',
  'x',
]

function frame(flags: number, body: Uint8Array): Buffer {
  return Buffer.concat([body.length < 256 ? Buffer.from([flags, body.length]) : longHead(flags, body.length), body])
}

/** What one stranger sends, in parts. */
function attack(chance: () => number): Buffer[] {
  const call = () => {
    const name = methods[Math.floor(chance() * methods.length)] ?? 'get'
    const wild = [null, -1, 2 ** 53, 'film', '../x', [], {}, Buffer.alloc(9), 1.5, true]
    const args = Array.from({ length: Math.floor(chance() * 5) }, () => wild[Math.floor(chance() * wild.length)])
    return Buffer.from(encode([{ message_id: `m${chance()}`, v: 3 }, name, args]))
  }
  switch (Math.floor(chance() * 8)) {
    case 0:
      return [randomBytes(chance, Math.floor(chance() * 500))]
    case 1:
      return [greeting, randomBytes(chance, Math.floor(chance() * 300))]
    case 2:
      return [greeting.subarray(0, Math.floor(chance() * greeting.length))]
    case 3:
      // A frame of up to 2^63 bytes is announced.
      return [greeting, ready, longHead(0, 2 ** Math.floor(chance() * 53))]
    case 4:
      return [greeting, ready, Buffer.concat(Array.from({ length: 200 }, () => frame(1, randomBytes(chance, 3))))]
    case 5:
      return [greeting, ready, message(fuzzed(call(), chance))]
    case 6:
      return [greeting, ready, message(call())].map((part) => Buffer.from(chance() < 0.5 ? part : fuzzed(part, chance)))
    default:
      return [greeting, ready, message(call())]
  }
}

function message(body: Uint8Array): Buffer {
  return Buffer.concat([frame(1, Buffer.alloc(0)), frame(0, body)])
}

function longHead(flags: number, length: number): Buffer {
  const head = Buffer.alloc(9)
  head[0] = flags | 2
  head.writeBigUInt64BE(BigInt(length), 1)
  return head
}

/** For a visit that is to be heard: a step that comes with the one before is not looked at. */
const patient = { quietMs: 3000, stepMs: 200 }

/** Connects, sends, and goes away, with a reset or, after some silence, in peace; what was answered. */
async function visit(
  address: string,
  parts: Buffer[],
  isRude: boolean,
  { quietMs, stepMs } = { quietMs: 40, stepMs: 5 },
): Promise<Buffer> {
  const { host, port } = splitAddress(address)
  const answer: Buffer[] = []
  const socket = connect({ host, port: Number(port), noDelay: true })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => {})
  socket.on('data', (data) => answer.push(data))
  for (const part of parts) {
    socket.write(part)
    // libzmq shakes hands step by step: it does not look at what comes with the step before.
    await pause(systemClock, stepMs)
  }
  if (isRude) socket.resetAndDestroy()
  else socket.setTimeout(quietMs, () => socket.destroy())
  await closed
  return Buffer.concat(answer)
}
