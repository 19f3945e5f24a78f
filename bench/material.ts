import { execFile } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import { copyFile, mkdir, open, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Bench, projectPath } from './bench.ts'
import { mib, smallChunkBytes, smallChunks } from './settings.ts'

/** What is transferred: the same random bytes for all, as they cannot be compressed. */
export interface Material {
  /** One file; `chunks` has it cut into files of 1 MiB named 0, 1, 2, ... */
  file: string
  chunks: string
  /** The beginning of the file, for slow contenders that take a whole one. */
  slowFile: string
  videoDatabase: string
}

/** Streams of the video database. */
export const streams = {
  /** So many chunks of 1 MiB and no more: a relay fetches ahead of its readers, past where they stop. */
  mib: (count: number) => `mib-${count}`,
  small: 'small',
  many: 'many',
  memory: (length: 'long' | 'short') => `memory-${length}`,
  first: (index: number) => `first-${index}`,
} as const

/** Chunks of the stream `many`, 1 kB each: for the start of a node with a large store. */
export const manyChunks = 200_000
const manyChunkBytes = 1024

export async function makeMaterial(bench: Bench): Promise<Material> {
  const { settings, folder } = bench
  const chunkCount = Math.max(settings.alone, settings.together, settings.slow, settings.children.mib)
  const material = {
    file: join(folder, 'random.bin'),
    chunks: join(folder, 'random'),
    slowFile: join(folder, 'random-slow.bin'),
    videoDatabase: join(folder, 'video_data'),
  }
  await mkdir(material.chunks)
  await mkdir(material.videoDatabase)
  await writeRandom(material, chunkCount)
  await copyFile(material.file, material.slowFile)
  await truncate(material.slowFile, settings.slow * mib)
  for (const count of new Set([settings.alone, settings.together, settings.children.mib]))
    await publishFirst(bench, material, count)
  await publishZeros(bench, material, streams.small, smallChunks * smallChunkBytes, String(smallChunkBytes))
  await publishZeros(bench, material, streams.many, manyChunks * manyChunkBytes, String(manyChunkBytes))
  for (const length of ['long', 'short'] as const)
    await publishZeros(bench, material, streams.memory(length), settings.memory[length] * 1e6, '1m')
  for (let index = 0; index < settings.firstChunks * 2; index++)
    await publishZeros(bench, material, streams.first(index), 4 * mib, '1m')
  return material
}

async function writeRandom({ file, chunks }: Material, chunkCount: number): Promise<void> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16))
  const zeros = Buffer.alloc(mib)
  const whole = await open(file, 'wx')
  for (let index = 0; index < chunkCount; index++) {
    const chunk = cipher.update(zeros)
    await whole.write(chunk)
    await writeFile(join(chunks, String(index)), chunk)
  }
  await whole.close()
}

async function publishFirst(bench: Bench, material: Material, count: number): Promise<void> {
  const path = join(bench.folder, `${streams.mib(count)}.bin`)
  await copyFile(material.file, path)
  await truncate(path, count * mib)
  await publish(material, streams.mib(count), path, '1m')
  await rm(path)
}

/** Where nobody is compared with, zeros do: nothing of ours compresses. */
async function publishZeros(
  bench: Bench,
  material: Material,
  name: string,
  bytes: number,
  chunk: string,
): Promise<void> {
  const path = join(bench.folder, `${name}.zeros`)
  await writeFile(path, '')
  await truncate(path, bytes)
  await publish(material, name, path, chunk)
  await rm(path)
}

async function publish({ videoDatabase }: Material, name: string, path: string, chunk: string): Promise<void> {
  const args = ['-d', videoDatabase, '-s', path, '-f', name, '-c', chunk, '--format', 'bytes', '--json']
  await promisify(execFile)(process.execPath, [projectPath('bin/split_video'), ...args])
}
