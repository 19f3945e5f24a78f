import { Failure } from '../base/errors.ts'

/** Whom a source takes streams from: callers on its own machine, or all who reach it. */
export const publisherPolicies = ['loopback', 'any'] as const
export type Publishers = (typeof publisherPolicies)[number]

/** Who calls, as far as a node can tell. */
export interface Caller {
  /** Names the connection. */
  peer: string
  /** ZeroMQ does not tell where a message came from: a caller is known to be on this machine when the node listens nowhere else. */
  isOnLoopback: boolean
}

/** Throws `refused` unless `caller` may publish at this node; the one place where that is decided. Pure. */
export function authorisePublisher(
  caller: Caller,
  node: { name: string; role: 'source' | 'relay'; publishers: Publishers },
): void {
  if (node.role === 'relay')
    throw new Failure('refused', `${node.name} is a relay and takes no streams; publish to the source`)
  if (node.publishers === 'any' || caller.isOnLoopback) return
  throw new Failure(
    'refused',
    `${node.name} takes no streams over the network; start it with --publishers any, or let it listen on 127.0.0.1 and publish there`,
  )
}
