import type { Clock } from '../base/clock.ts'

export interface RpcOptions {
  /** Default: the system's. */
  clock?: Clock
  /** How often a channel in use says that it lives, ms; default 5000, as in the original. */
  heartbeatMs?: number
  /** After so long a silence the other side is lost, ms; default two intervals. */
  lostAfterMs?: number
  /** Largest frame taken from the network, bytes; default `limits.frameBytes`. */
  maxFrameBytes?: number
  /** Messages queued for one peer that does not read; default `limits.sendQueueMessages`. */
  sendQueueMessages?: number
}

export const defaultHeartbeatMs = 5000
/** How long a closed socket may go on sending what is queued, ms. */
export const lingerMs = 200
