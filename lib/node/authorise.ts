import { Failure } from '../base/errors.ts'
import { isOff } from '../base/protections.ts'
import type { Role } from '../network/allow-list.ts'
import type { Method } from '../network/contract.ts'

/** Whom a source without keys takes streams from: callers on its own machine, or all who reach it. */
export const publisherPolicies = ['loopback', 'any'] as const
export type Publishers = (typeof publisherPolicies)[number]

/** Who calls, as far as a node can tell. */
export interface Caller {
  /** Undefined: the node has no keys, so anybody may call. */
  admitted: { role: Role | undefined } | undefined
  /** ZeroMQ does not tell where a message came from: a caller is known to be on this machine when the node listens nowhere else. */
  isOnLoopback: boolean
}

const passesOn: readonly Role[] = ['source', 'relay']
const publishes: readonly Role[] = ['publisher']

/** The roles that may call a method; methods that are not named here may be called by every role. */
const restricted: Partial<Record<Method, readonly Role[]>> = {
  query: passesOn,
  report: passesOn,
  publishCheck: publishes,
  publish: publishes,
  publishPages: publishes,
  publishChunks: publishes,
  publishEnd: publishes,
}

/** Throws `refused` unless the caller may call `method`. Pure. */
export function authorise(
  caller: Caller,
  method: Method,
  node: { name: string; role: 'source' | 'relay'; publishers: Publishers },
): void {
  if (isOff('roles')) return
  const isPublishing = restricted[method] === publishes
  if (isPublishing && node.role === 'relay')
    throw new Failure('refused', `${node.name} is a relay and takes no streams; publish to the source`)
  if (!caller.admitted) {
    if (!isPublishing || node.publishers === 'any' || caller.isOnLoopback) return
    throw new Failure(
      'refused',
      `${node.name} takes no streams over the network; start it with keys, or with --publishers any, or let it listen on 127.0.0.1 and publish there`,
    )
  }
  const { role } = caller.admitted
  if (role === undefined)
    throw new Failure(
      'refused',
      `${node.name} does not know the key of this caller (any more); ask its operator for a line in its --allow file`,
    )
  const allowed = restricted[method]
  if (!allowed || allowed.includes(role)) return
  throw new Failure(
    'refused',
    `a key admitted as ${role} may not call ${method} at ${node.name}; that takes ${allowed.join(' or ')}`,
  )
}

/** Throws `refused` unless a caller in this role may register as a node that passes chunks on. Pure. */
export function authoriseSibling(role: Role | undefined, name: string): void {
  if (role === undefined || passesOn.includes(role)) return
  throw new Failure(
    'refused',
    `a key admitted as ${role} may not register ${name} as a relay; that takes ${passesOn.join(' or ')}`,
  )
}
