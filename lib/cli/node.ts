import { Failure } from '../base/errors.ts'
import { parseSize } from '../base/units.ts'
import type { Publishers } from '../node/authorise.ts'
import { type NodeOptions, startNode } from '../node/start.ts'
import { parseAddress, withKey } from '../stream/address.ts'
import { parseKey } from '../stream/links.ts'
import { curveKeyBytes } from '../zerorpc/index.ts'
import type { Command } from './command.ts'
import { openKeys } from './keys.ts'
import { createLogger, type LogLevel } from './log.ts'
import { signalToStop } from './run.ts'

export interface NodeArguments {
  name?: string
  ip: string
  port: number
  videodatabase?: string
  chunkdirectory?: string
  master?: string
  'master-key'?: string
  keyfile?: string
  allow?: string
  supermaster?: string[]
  capacity: string
  publishers: Publishers
  log: LogLevel
  json?: boolean
}

/** `node.js`: runs a source or a relay until it is told to end. */
export const nodeCommand: Command<NodeArguments> = {
  name: 'node',
  describe: 'Run a source or a relay',
  usage: '--name NAME --port PORT (--videodatabase DIR | --chunkdirectory DIR --master tcp://HOST:PORT)',
  examples: [
    ['$0 --name source --port 7999 --videodatabase video_data --ip 0.0.0.0', 'a source for all the network'],
    ['$0 --name mit --port 8001 --chunkdirectory chunks/mit --master tcp://127.0.0.1:7999', 'a relay'],
    [
      '$0 --name ben --port 8003 --chunkdirectory chunks/ben --master tcp://127.0.0.1:8001 --supermaster tcp://127.0.0.1:7999',
      'a relay that knows where to turn when its master fails',
    ],
  ],
  options: [
    'name',
    'ip',
    'port',
    'videodatabase',
    'chunkdirectory',
    'master',
    'master-key',
    'supermaster',
    'capacity',
    'keyfile',
    'allow',
    'publishers',
    'log',
    'json',
  ],
  run: runNode,
}

async function runNode(args: NodeArguments): Promise<void> {
  const role = roleOf(args)
  const { name = 'source' in role ? 'source' : undefined } = args
  if (name === undefined) throw new Failure('bad-argument', 'give the relay a name with --name')
  const { ip, json = false } = args
  const log = createLogger({ name, level: args.log, json })
  const signal = signalToStop()
  const node = await startNode({
    name,
    ip,
    port: checkPort(args.port),
    log,
    keys: await openKeys(args.keyfile),
    allow: args.allow,
    ...('source' in role ? role.source : role.relay),
  })
  process.stdout.write(
    json ? `${JSON.stringify({ name, address: node.address })}\n` : `${name} listens on ${node.address}\n`,
  )
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  await node.close()
}

type Role =
  | { source: Pick<NodeOptions, 'videoDatabase' | 'publishers'> }
  | { relay: Pick<NodeOptions, 'chunkDirectory' | 'masters' | 'capacityBytes'> }

/** A node is one of the two. Throws `bad-argument` that says what is missing or too much. */
export function roleOf(args: NodeArguments): Role {
  const { videodatabase, chunkdirectory, master, supermaster = [] } = args
  if (videodatabase !== undefined && (chunkdirectory !== undefined || master !== undefined)) {
    throw new Failure(
      'bad-argument',
      'a node is a source (--videodatabase) or a relay (--chunkdirectory and --master), not both; start two',
    )
  }
  if (videodatabase !== undefined) return { source: { videoDatabase: videodatabase, publishers: args.publishers } }
  if (chunkdirectory === undefined && master === undefined) {
    throw new Failure(
      'bad-argument',
      'say what the node is: a source with --videodatabase DIR, or a relay with --chunkdirectory DIR and --master tcp://HOST:PORT',
    )
  }
  if (chunkdirectory === undefined)
    throw new Failure('bad-argument', 'a relay needs --chunkdirectory DIR, a folder of its own')
  if (master === undefined) throw new Failure('bad-argument', 'a relay needs --master tcp://HOST:PORT')
  const parsed = parseAddress(master, '--master')
  const masters = [
    args['master-key'] === undefined
      ? parsed
      : withKey(parsed, parseKey(args['master-key'], curveKeyBytes, '--master-key')),
    ...supermaster.map((address) => parseAddress(address, '--supermaster')),
  ]
  return { relay: { chunkDirectory: chunkdirectory, masters, capacityBytes: parseSize(args.capacity, '--capacity') } }
}

/** Throws `bad-argument`. */
export function checkPort(port: number): number {
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port
  throw new Failure('bad-argument', `expected --port to be a whole number from 0 to 65535, got ${port}`)
}
