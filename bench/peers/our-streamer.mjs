// The streamer of lib/ as a process that waits for the word to begin, so that many begin at once, and that times each chunk.
// A line in: {source, name, from, count}. A line out: when it began and ended, bytes, and the ms between chunks.
import { createInterface } from 'node:readline'
import { fitRuntime } from '../../dist/base/runtime.js'
import { parseLink } from '../../dist/stream/links.js'
import { openFileOutput } from '../../dist/streamer/output.js'
import { streamTo } from '../../dist/streamer/stream.js'

fitRuntime()
const now = () => performance.timeOrigin + performance.now()

async function take({ source, name, from, count }) {
  const output = await openFileOutput('/dev/null', { resume: false })
  const chunkMs = []
  const startedAt = now()
  let endedAt = startedAt
  let firstChunks = 0
  const { bytes, chunks } = await streamTo({
    source: parseLink(source),
    name,
    output,
    ...(from === undefined ? {} : { from: { index: from } }),
    ...(count === undefined ? {} : { count }),
    onProgress({ index }) {
      if (chunkMs.length === 0) firstChunks = index + 1 - (from ?? 0)
      const at = now()
      chunkMs.push(at - endedAt)
      endedAt = at
    },
  })
  await output.close()
  return { startedAt, endedAt, bytes, chunks, firstChunks, firstChunkMs: chunkMs[0], chunkMs }
}

process.stdout.write('up\n')
for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await take(JSON.parse(line)))}\n`)
process.exit(0)
