import { access, constants, readFile, stat } from 'node:fs/promises'
import { errnoOf } from '../base/errors.ts'
import { parseSeed } from '../store/signing-key.ts'
import { signingKeyFile } from '../store/video-database.ts'
import { Signer } from '../stream/signing.ts'
import { type Finding, fail, ok } from './finding.ts'

/** `mode`: the nine bits of rights. */
export type FileSeen =
  | { state: 'missing' | 'out-of-reach' | 'not-a-file' }
  | { state: 'there'; mode: number; isReadable: boolean }

export async function lookAtFile(path: string): Promise<FileSeen> {
  try {
    const found = await stat(path)
    if (!found.isFile()) return { state: 'not-a-file' }
    const isReadable = await access(path, constants.R_OK).then(
      () => true,
      () => false,
    )
    return { state: 'there', mode: found.mode & 0o777, isReadable }
  } catch (error) {
    return { state: errnoOf(error) === 'ENOENT' ? 'missing' : 'out-of-reach' }
  }
}

/** The keys of a node, of `--keyfile`: a secret. */
export async function checkKeyFile(path: string): Promise<Finding> {
  return judgeFile(
    'keyfile',
    path,
    'secret',
    await lookAtFile(path),
    'name another with --keyfile, or make one with peerstreamer keygen',
  )
}

/** The list of `--allow`: no secret, and whoever may write it decides who comes in. */
export async function checkAllowFile(path: string): Promise<Finding> {
  return judgeFile(
    'allow',
    path,
    'list',
    await lookAtFile(path),
    'name another with --allow, or make one with a line "KEY ROLE LABEL" for each key',
  )
}

/** The key that signs the streams of a video database; it is made when the first is published. */
export async function checkSigningKey(directory: string): Promise<Finding> {
  const path = signingKeyFile(directory)
  const seen = await lookAtFile(path)
  if (seen.state === 'missing') return ok('signing-key', `${path} is made when the first stream is published`)
  const mode = judgeFile('signing-key', path, 'secret', seen, 'restore it from a copy')
  if (mode.level !== 'ok') return mode
  return judgeSigningKey(path, mode.found, await readFile(path, 'utf8'))
}

export function judgeSigningKey(path: string, found: string, text: string): Finding {
  const seed = parseSeed(text)
  if (seed) return ok('signing-key', `${found}; its streams show ${new Signer(seed).publicKey.toString('base64url')}`)
  return fail(
    'signing-key',
    `${path} does not hold a key of 32 bytes in base64url`,
    'restore it from a copy; a new key would be refused by all who know the old one',
  )
}

/** Who may do what with a file: the bits that it must not have, what they would allow, how to take them away. */
const rules = {
  secret: { forbidden: 0o077, harm: 'others may use the secret in it', change: 'chmod 600' },
  list: { forbidden: 0o022, harm: 'others may change who is admitted', change: 'chmod go-w' },
} as const

/** `ifMissing`: what to do when there is no such file. */
export function judgeFile(
  check: string,
  path: string,
  kind: keyof typeof rules,
  seen: FileSeen,
  ifMissing: string,
): Finding {
  const { forbidden, harm, change } = rules[kind]
  switch (seen.state) {
    case 'missing':
      return fail(check, `${path} does not exist`, ifMissing)
    case 'out-of-reach':
      return fail(check, `${path} cannot be reached`, 'give this user rights on the folders above it')
    case 'not-a-file':
      return fail(check, `${path} is no file`, ifMissing)
    case 'there': {
      const mode = `${path} has mode ${seen.mode.toString(8).padStart(4, '0')}`
      if ((seen.mode & forbidden) !== 0) return fail(check, `${mode}: ${harm}`, `run: ${change} ${path}`)
      if (!seen.isReadable) return fail(check, `${path} cannot be read by this user`, 'run as its owner, or chown it')
      return ok(check, mode)
    }
  }
}
