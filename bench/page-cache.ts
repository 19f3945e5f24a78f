import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Reads a file, or all files of a folder, so that the system has them in memory, where it may have dropped what nobody read for a while. */
export async function bringIntoPageCache(path: string): Promise<void> {
  if ((await stat(path)).isDirectory()) {
    for (const name of await readdir(path)) await bringIntoPageCache(join(path, name))
    return
  }
  for await (const _ of createReadStream(path, { highWaterMark: 1024 * 1024 }));
}
