import { Failure } from '../base/errors.ts'
import { withoutSecrets } from './address.ts'

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/
export const nameRule = '1 to 128 letters, digits, ".", "_" or "-", the first a letter or digit'

/** The name of a stream or node, checked: safe as a folder name and on a page. */
export function parseName(text: string, what = 'the name'): string {
  if (!namePattern.test(text)) {
    throw new Failure('bad-argument', `expected ${what} to be ${nameRule}, got "${withoutSecrets(text)}"`)
  }
  return text
}

/** A name as near as can be to `text` (a file's name, say), or `fallback` when nothing of it can stay. */
export function nameFrom(text: string, fallback: string): string {
  const name = text
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '_')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 128)
  return namePattern.test(name) ? name : fallback
}
