import type { Sample } from './sample.ts'

/** Something that is measured beside the others, in each round. */
export interface Contender {
  name: string
  /** Why it cannot be measured here, such as that it is not installed; nothing when it can. */
  missing(): string | undefined | Promise<string | undefined>
  /** Starts what serves all rounds. */
  start(): Promise<void>
  round(): Promise<Sample[]>
}
