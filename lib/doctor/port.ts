import { errnoOf, type Failure, toFailure } from '../base/errors.ts'
import { type Address, splitAddress } from '../stream/address.ts'
import { RpcServer } from '../zerorpc/index.ts'
import { type Finding, fail, ok } from './finding.ts'

/** Listens for a moment as a node does; undefined: it may. */
export async function tryToListen(address: Address): Promise<Failure | undefined> {
  const server = new RpcServer({ methods: new Map() })
  try {
    await server.bind(address)
    return undefined
  } catch (error) {
    return toFailure(error)
  } finally {
    await server.close()
  }
}

export function judgePort(address: Address, refusal: Failure | undefined): Finding {
  const { port } = splitAddress(address)
  if (!refusal) return ok('port', port === 0 ? `${address} takes a free port` : `${address} is free`)
  if (refusal.code === 'port-in-use') {
    return fail(
      'port',
      `${address} is in use by another program`,
      `choose another --port, or end that program (ss -ltnp sport = :${port} names it); a node of yours that runs there is all right`,
    )
  }
  if (errnoOf(refusal.cause) === 'EACCES')
    return fail('port', `this user may not listen on ${address}`, 'choose a --port from 1024 on')
  return fail(
    'port',
    `nobody can listen on ${address} here`,
    'give --ip an IPv4 address of this machine (ip address shows them), or 0.0.0.0 for all',
  )
}
