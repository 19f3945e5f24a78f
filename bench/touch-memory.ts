import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Writes file data and deletes it: the memory of a virtual machine is slow the first time that it is touched. */
export async function touchMemory(folder: string, megabytes: number): Promise<void> {
  const path = join(folder, 'touched')
  const data = Buffer.alloc(1e6, 1)
  const file = await open(path, 'w')
  for (let written = 0; written < megabytes; written++) await file.write(data)
  await file.close()
  await rm(path)
}
