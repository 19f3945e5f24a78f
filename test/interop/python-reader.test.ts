import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { publishBytes, sha256, TestNetwork } from '../support/network.ts'

const reader = fileURLToPath(new URL('python_reader.py', import.meta.url))

describe('Python with nothing but pyzmq and msgpack', () => {
  const network = new TestNetwork()
  afterEach(() => network.close())

  it('calls list, describe and get of a source and of a relay, and receives chunks', async () => {
    const source = await network.source()
    const film = await publishBytes(source.directory, 'film', { count: 5, sizeBytes: 300_000 })
    const relay = await network.relay('relay', [source.address])
    for (const { address } of [source, relay]) {
      const { stdout, stderr } = await promisify(execFile)('/usr/bin/python3', [reader, address, 'film'])
      expect(stderr).to.equal('')
      expect(JSON.parse(stdout)).to.deep.equal({
        names: ['film'],
        descriptor: { name: 'film', epoch: 1, format: 'bytes', chunkCount: 5, chunkBytes: 1_500_000 },
        chunks: Object.fromEntries([0, 1, 4].map((index) => [index, sha256(film.chunks[index] ?? Buffer.alloc(0))])),
      })
    }
  })
})
