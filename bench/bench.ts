import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Programs } from './programs.ts'
import type { Settings } from './settings.ts'
import type { TouchedMemory } from './touch-memory.ts'

/** What every part of a run shares. */
export interface Bench {
  settings: Settings
  programs: Programs
  /** Removed at the end. */
  folder: string
  memory: TouchedMemory
}

/** A new folder inside the run's. */
export function newFolder({ folder }: Bench, name: string): Promise<string> {
  return mkdtemp(join(folder, `${name}-`))
}

/** Path of a file of the project. */
export function projectPath(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url))
}
