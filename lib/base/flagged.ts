import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The value of `expression` in a context of its own, made while V8's `flag` was on: such flags count for contexts made after them. */
export function underFlag(flag: string, expression: string): unknown {
  setFlagsFromString(`--${flag}`)
  try {
    return runInNewContext(expression)
  } finally {
    setFlagsFromString(`--no-${flag}`)
  }
}
