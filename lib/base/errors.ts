/**
 * The closed list of what can go wrong, by code. Callers decide by code, people read the message:
 * what was expected, what came, what to do. `exit` is the exit code of a command that ends with it.
 */
export const errorCodes = {
  'bad-argument': { exit: 2, means: 'an option, argument or value has the wrong form' },
  'bad-config': { exit: 2, means: 'a configuration file cannot be read or holds a wrong value' },
  'not-found': { exit: 3, means: 'no stream of that name is known at that node' },
  exists: { exit: 4, means: 'the name is taken; --replace publishes it anew' },
  'port-in-use': { exit: 5, means: 'another program holds the address that the node should listen on' },
  unreachable: { exit: 6, means: 'a node does not answer' },
  timeout: { exit: 6, means: 'the deadline passed before the answer came' },
  aborted: { exit: 130, means: 'the caller gave up' },
  closed: { exit: 1, means: 'the connection, store or server is closed' },
  'directory-unusable': { exit: 7, means: 'a directory is missing, not writable or not what it should be' },
  'store-locked': { exit: 8, means: 'another process has this chunk store open' },
  'store-broken': { exit: 8, means: 'the chunk store is damaged beyond repair' },
  'disk-full': { exit: 9, means: 'no room is left on the disk' },
  'bad-signature': { exit: 10, means: 'a descriptor or page is not signed by the key of its stream' },
  'bad-digest': { exit: 10, means: 'bytes of a chunk do not match the digest in its record' },
  'key-changed': { exit: 10, means: 'a name is signed by another key than the one first seen or asked for' },
  'bad-format': { exit: 10, means: 'bytes from the network or the disk are not of the form they should have' },
  media: { exit: 11, means: 'ffmpeg cannot read or convert the input' },
  'missing-program': { exit: 12, means: 'a program that is needed (ffmpeg, a player) is not installed' },
  'over-limit': { exit: 13, means: 'a queue, size or count limit would be exceeded' },
  unavailable: { exit: 14, means: 'nobody who could be asked has the chunk now; try again later' },
  'stream-changed': {
    exit: 15,
    means: 'the stream was published again (new epoch) or the name now means another stream',
  },
  'unknown-method': { exit: 1, means: 'the node does not know the method that was called' },
  remote: { exit: 1, means: 'the called node failed while it worked on the call' },
  'lease-lost': { exit: 1, means: 'the master does not know the lease (any more); register anew' },
  refused: { exit: 16, means: 'the node does not admit this caller or this request' },
  'bad-key': { exit: 18, means: 'a content key is missing, or does not decrypt the stream' },
  'output-failed': { exit: 17, means: 'the output file, pipe or player cannot be written to' },
  internal: { exit: 70, means: 'a fault of peerstreamer itself; please report it' },
} as const

export type ErrorCode = keyof typeof errorCodes

export type ErrorFields = Record<string, string | number | boolean | undefined>

/** An error with a code of the closed list, fields for programs, a sentence for people and the cause beneath. */
export class Failure extends Error {
  readonly code: ErrorCode
  readonly fields: ErrorFields

  constructor(code: ErrorCode, message: string, options: { fields?: ErrorFields; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'Failure'
    this.code = code
    this.fields = options.fields ?? {}
  }

  get exitCode(): number {
    return errorCodes[this.code].exit
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorCodes, text)
}

/** True when `error` is a Failure of one of `codes` (of any code when none is named). */
export function isFailure(error: unknown, ...codes: ErrorCode[]): error is Failure {
  return error instanceof Failure && (codes.length === 0 || codes.includes(error.code))
}

/** Any thrown value as a Failure; what is not one yet becomes `code` with the thrown value as its cause. */
export function toFailure(error: unknown, code: ErrorCode = 'internal'): Failure {
  if (error instanceof Failure) return error
  return new Failure(code, error instanceof Error ? error.message : String(error), { cause: error })
}

/** The errno code (`ENOSPC`, `EADDRINUSE`, ...) of a system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
