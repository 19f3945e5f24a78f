import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { TestPrograms } from '../support/programs.ts'
import { run } from '../support/run.ts'

/** Most memory that a program may have in RAM, bytes. */
const most = 128e6
const sizeBytes = 3e9

describe('a stream of 3 GB', function () {
  this.timeout(120_000)
  const programs = new TestPrograms()
  after(async () => {
    await programs.close()
    await removeFolders()
  })

  it('is published, relayed and streamed in less than 128 MB each', async () => {
    const folder = await makeFolder()
    const path = join(folder, 'sparse.bin')
    const file = await open(path, 'w')
    await file.truncate(sizeBytes)
    await file.close()

    const split = await run('split_video', ['-d', join(folder, 'data'), '-s', path, '--format', 'bytes', '--json'])
    expect(split.stderr).to.equal('')
    const published = JSON.parse(split.stdout.toString())
    expect(published.bytes).to.equal(sizeBytes)
    expect(published.peakMemoryBytes, 'split_video').to.be.at.most(most)

    const source = await programs.node('source', ['--videodatabase', join(folder, 'data')])
    const relay = await programs.node('relay', ['--chunkdirectory', join(folder, 'chunks'), '--master', source.address])
    const streamed = await run('video_streamer.js', [
      ...['--source', relay.address, '-f', 'sparse', '-o', '/dev/null', '--json'],
    ])
    expect(streamed.stderr).to.equal('')
    const summary = JSON.parse(streamed.stdout.toString())
    expect(summary.bytes).to.equal(sizeBytes)
    expect(summary.peakMemoryBytes, 'video_streamer').to.be.at.most(most)
    expect((await relay.stats()).peakMemoryBytes, 'relay').to.be.at.most(most)
  })
})
