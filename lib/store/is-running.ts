import { errnoOf } from '../base/errors.ts'

/** Whether a process of that id is there; who owns what a killed one left is told by its id in the name. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}
