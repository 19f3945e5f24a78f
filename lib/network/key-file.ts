import { readFile, stat, writeFile } from 'node:fs/promises'
import { errnoOf, Failure } from '../base/errors.ts'
import { curveKeyBytes, type KeyPair, keyPairOf } from '../zerorpc/index.ts'

/** The keys of a node in their file. Throws `bad-config` when others may read it, or it holds no key. */
export async function readKeyFile(path: string): Promise<KeyPair> {
  let text: string
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0)
      throw new Failure('bad-config', `the key file ${path} can be read by others; run: chmod 600 ${path}`)
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    const hint = errnoOf(cause) === 'ENOENT' ? `make it with: peerstreamer keygen --keyfile ${path}` : errnoOf(cause)
    throw new Failure('bad-config', `cannot read the key file ${path}; ${hint}`, { cause })
  }
  const secret = /^secret\s+(\S+)\s*$/m.exec(text)?.[1]
  const keys = secret === undefined ? undefined : parseSecretKey(secret)
  if (!keys)
    throw new Failure(
      'bad-config',
      `expected ${path} to hold a line "secret KEY" of 32 bytes in base64url, as peerstreamer keygen makes it`,
    )
  return keys
}

/** The key pair of a secret key in base64url, or undefined when it is none. */
export function parseSecretKey(text: string): KeyPair | undefined {
  const secretKey = Buffer.from(text, 'base64url')
  return /^[A-Za-z0-9_-]{43}$/.test(text) && secretKey.length === curveKeyBytes ? keyPairOf(secretKey) : undefined
}

/** Writes a new key file, readable by its owner alone. Throws `exists` rather than overwrite a key. */
export async function writeKeyFile(path: string, { publicKey, secretKey }: KeyPair): Promise<void> {
  const text = `# The key of a peerstreamer node. Who has the secret line is that node.
public ${publicKey.toString('base64url')}
secret ${secretKey.toString('base64url')}
`
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx' })
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST')
      throw new Failure('exists', `${path} exists; a key is never overwritten: name another file, or move it away`)
    throw new Failure('directory-unusable', `cannot write ${path}: ${errnoOf(cause)}`, { cause })
  }
}
