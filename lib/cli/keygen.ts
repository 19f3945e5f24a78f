import { writeKeyFile } from '../network/key-file.ts'
import { openSigningKey } from '../store/signing-key.ts'
import { newKeyPair } from '../zerorpc/index.ts'
import type { Command } from './command.ts'

interface KeygenArguments {
  keyfile: string
  signingkey?: string
  json?: boolean
}

/** `peerstreamer keygen`: the keys of a node, and on demand one that signs streams. */
export const keygenCommand: Command<KeygenArguments> = {
  name: 'keygen',
  describe: 'Make the keys of a node, or one that signs streams',
  usage: '[--keyfile node.key] [--signingkey signing.key]',
  examples: [
    ['$0 --keyfile mit.key', 'make the keys of a node, and print the line for the file of --allow'],
    ['$0 --keyfile anna.key --signingkey anna.signing.key', 'also make a key that signs streams, for publish'],
  ],
  options: ['keyfile', 'signingkey', 'json'],
  defaults: { keyfile: 'node.key' },
  run: runKeygen,
}

async function runKeygen({ keyfile, signingkey, json }: KeygenArguments): Promise<void> {
  const keys = newKeyPair()
  await writeKeyFile(keyfile, keys)
  const publicKey = keys.publicKey.toString('base64url')
  const signing =
    signingkey === undefined ? undefined : (await openSigningKey(signingkey)).publicKey.toString('base64url')
  if (json) {
    process.stdout.write(`${JSON.stringify({ keyfile, publicKey, signingkey, signingPublicKey: signing })}\n`)
    return
  }
  process.stdout.write(`${keyfile} is made; keep it secret. Its public key:\n${publicKey}\n\n`)
  process.stdout.write(
    'A node admits it with a line in its --allow file (source, relay, worker, publisher or viewer):\n',
  )
  process.stdout.write(`${publicKey} relay ${keyfile.replace(/^.*\//, '').replace(/\.key$/, '')}\n`)
  if (signing) process.stdout.write(`\n${signingkey} signs streams; its public key:\n${signing}\n`)
}
