import { Failure } from '../../lib/base/errors.ts'

/** The failure with which `work` ends; it is an error of the test when it does not, or with another kind of error. */
export async function captureFailure(work: Promise<unknown>): Promise<Failure> {
  try {
    await work
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error('expected a failure, but it succeeded')
}
