import { Failure } from '../base/errors.ts'

/** What a key may do at a node. */
export const roles = ['source', 'relay', 'worker', 'publisher', 'viewer'] as const
export type Role = (typeof roles)[number]

export interface Admitted {
  role: Role
  /** For people. */
  label: string
}

/** Any key at all, which may only be admitted as a viewer. */
const anyone = '*'
/** Keys in one file. */
const mostKeys = 100_000

/** Who may connect, by public key. Pure. */
export class AllowList {
  readonly #keys: ReadonlyMap<string, Admitted>

  private constructor(keys: ReadonlyMap<string, Admitted>) {
    this.#keys = keys
  }

  /** Lines of `KEY ROLE LABEL`; `#` begins a comment. Throws `bad-config` with the line; `what` names the file. */
  static parse(text: string, what: string): AllowList {
    const keys = new Map<string, Admitted>()
    for (const [i, line] of text.split('\n').entries()) {
      const trimmed = line.replace(/(^|\s)#.*$/, '').trim()
      if (trimmed === '') continue
      const [key = '', role = '', ...label] = trimmed.split(/\s+/)
      const at = `line ${i + 1} of ${what}`
      if (key !== anyone && !/^[A-Za-z0-9_-]{43}$/.test(key))
        throw wrong(`expected ${at} to begin with a public key (43 letters, digits, "-" or "_") or *, got "${key}"`)
      const known = roles.find((one) => one === role)
      if (!known) throw wrong(`expected ${at} to name a role (${roles.join(', ')}) after the key, got "${role}"`)
      if (key === anyone && known !== 'viewer') throw wrong(`expected ${at} to admit * as viewer only, got "${role}"`)
      if (keys.has(key)) throw wrong(`${at} names a key a second time; give each key one line`)
      if (keys.size === mostKeys) throw wrong(`${what} has more than ${mostKeys} keys`)
      keys.set(key, { role: known, label: label.join(' ') })
    }
    return new AllowList(keys)
  }

  /** What the key may do; undefined: it may not connect. Without a key: what anybody may do. */
  find(publicKey: Uint8Array | undefined): Admitted | undefined {
    const own = publicKey && this.#keys.get(Buffer.from(publicKey).toString('base64url'))
    return own ?? this.#keys.get(anyone)
  }

  get size(): number {
    return this.#keys.size
  }
}

function wrong(message: string): Failure {
  return new Failure('bad-config', message)
}
