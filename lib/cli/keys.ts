import { Failure } from '../base/errors.ts'
import { parseSecretKey, readKeyFile } from '../network/key-file.ts'
import type { KeyPair } from '../zerorpc/index.ts'

/** In place of a file, for machines that hand out secrets in the environment; never an option, which others could read. */
const secretVariable = 'PEERSTREAMER_SECRETKEY'

/** The keys of this node: of `--keyfile`, else from the environment; undefined when it has none. */
export async function openKeys(keyfile: string | undefined): Promise<KeyPair | undefined> {
  if (keyfile !== undefined) return readKeyFile(keyfile)
  const secret = process.env[secretVariable]
  if (!secret) return undefined
  const keys = parseSecretKey(secret)
  if (!keys) throw new Failure('bad-config', `expected ${secretVariable} to be a secret key of 32 bytes in base64url`)
  return keys
}
