import { readFile, stat, writeFile } from 'node:fs/promises'
import { errnoOf, Failure } from '../base/errors.ts'
import { Signer } from '../stream/signing.ts'

const seedBytes = 32

/**
 * The signing key that is kept in the file `path`, made at first use and readable by its owner alone.
 * Throws `bad-config` when others may read it or it holds no key, `directory-unusable` when it cannot be made there.
 */
export async function openSigningKey(path: string): Promise<Signer> {
  return new Signer((await readSeed(path)) ?? (await makeSeed(path)))
}

async function readSeed(path: string): Promise<Buffer | undefined> {
  let text: string
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0)
      throw new Failure('bad-config', `the signing key ${path} can be read by others; run: chmod 600 ${path}`)
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined
    if (cause instanceof Failure) throw cause
    throw new Failure('bad-config', `cannot read the signing key ${path}: ${errnoOf(cause)}`, { cause })
  }
  const seed = parseSeed(text)
  if (seed) return seed
  throw new Failure(
    'bad-config',
    `expected ${path} to hold a key of ${seedBytes} bytes in base64url, got something else; restore it from a copy`,
  )
}

/** The signing key in the text of its file, or undefined when it holds none. */
export function parseSeed(text: string): Buffer | undefined {
  const seed = Buffer.from(text.trim(), 'base64url')
  return seed.length === seedBytes ? seed : undefined
}

async function makeSeed(path: string): Promise<Buffer> {
  const seed = Signer.newSeed()
  try {
    await writeFile(path, `${seed.toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
    return seed
  } catch (cause) {
    // Another process made it meanwhile.
    const made = errnoOf(cause) === 'EEXIST' ? await readSeed(path) : undefined
    if (made) return made
    throw new Failure('directory-unusable', `cannot make the signing key ${path}: ${errnoOf(cause)}`, { cause })
  }
}
