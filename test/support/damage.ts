import { open, readdir, rm, stat, truncate } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { seededBytes } from './seeded.ts'

/** Damages one file of a store that is not open, in one way; says what was done. */
export async function damageOne(directory: string, chance: () => number): Promise<string> {
  const pick = <T>(from: T[]): T => from[Math.floor(chance() * from.length)] as T
  const found = await Promise.all(
    ['slabs', 'index'].map((folder) => readdir(join(directory, folder), { withFileTypes: true })),
  )
  const files = found
    .flat()
    .filter((entry) => entry.isFile() && entry.name !== 'LOCK')
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
  const name = pick(files)
  const path = join(directory, name)
  const { size } = await stat(path)
  const at = Math.floor(chance() * size)
  const how = pick(['cut', 'removed', 'zeroed', 'flipped', 'garbage', 'grown'])
  if (how === 'removed') await rm(path)
  else if (how === 'cut') await truncate(path, at)
  else {
    const length = how === 'flipped' ? 1 : Math.min(1 + Math.floor(chance() * 4000), Math.max(1, size - at))
    const file = await open(path, 'r+')
    const bytes = Buffer.alloc(length)
    if (how === 'flipped') {
      await file.read(bytes, 0, 1, at)
      bytes[0] = (bytes[0] ?? 0) ^ (1 << Math.floor(chance() * 8))
    } else if (how !== 'zeroed') seededBytes(Math.floor(chance() * 1e9), length).copy(bytes)
    await file.write(bytes, 0, length, how === 'grown' ? size : at)
    await file.close()
  }
  return `${name} ${how} at ${at}`
}
