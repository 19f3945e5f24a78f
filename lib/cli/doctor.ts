import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Clock, systemClock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { judgeClock } from '../doctor/clock.ts'
import { checkChunkDirectory, checkVideoDatabase } from '../doctor/directories.ts'
import type { Finding } from '../doctor/finding.ts'
import { checkAllowFile, checkKeyFile } from '../doctor/key-files.ts'
import { judgeMaster, lookAtMaster } from '../doctor/master.ts'
import { judgeOpenFiles, openFileLimit } from '../doctor/open-files.ts'
import { judgePort, tryToListen } from '../doctor/port.ts'
import { judgeFfmpeg, judgeNode, lookAtFfmpeg } from '../doctor/programs.ts'
import { Peer } from '../network/peer.ts'
import { type Address, addressOf, parseAddress } from '../stream/address.ts'
import { table } from './ask-node.ts'
import type { Command } from './command.ts'
import { openKeys } from './keys.ts'
import { checkPort } from './node.ts'

interface DoctorArguments {
  ip: string
  port: number
  videodatabase?: string
  chunkdirectory?: string
  master?: string
  keyfile?: string
  allow?: string
  json?: boolean
}

/** `peerstreamer doctor`: whether this machine is fit for a node with these options; changes nothing. */
export const doctorCommand: Command<DoctorArguments> = {
  name: 'doctor',
  describe: 'Look whether this machine is fit for a node, and say what to do',
  usage: '[--port PORT] [--videodatabase DIR] [--chunkdirectory DIR] [--master tcp://HOST:PORT]',
  examples: [
    ['$0 --port 7999 --videodatabase video_data', 'before a source starts'],
    ['$0 --port 8001 --chunkdirectory chunks/mit --master tcp://127.0.0.1:7999', 'before a relay starts'],
  ],
  options: ['ip', 'port', 'videodatabase', 'chunkdirectory', 'master', 'keyfile', 'allow', 'json'],
  async run(args) {
    const findings = await examine(args, systemClock)
    process.stdout.write(args.json ? `${JSON.stringify(findings, null, 2)}\n` : showFindings(findings))
    if (findings.some(({ level }) => level === 'FAIL')) process.exitCode = 1
  },
}

async function examine(args: DoctorArguments, clock: Clock): Promise<Finding[]> {
  const { ip, videodatabase, chunkdirectory } = args
  const address = addressOf(ip, checkPort(args.port))
  const master = args.master === undefined ? undefined : parseAddress(args.master, '--master')
  const isRelayAlone = chunkdirectory !== undefined && videodatabase === undefined
  const findings = await Promise.all([
    [judgeNode(process.versions.node)],
    lookAtFfmpeg().then((seen) => judgeFfmpeg(seen, !isRelayAlone)),
    [judgeOpenFiles(openFileLimit())],
    builtAtMs().then((builtAt) => [judgeClock(clock.wallTimeMs(), builtAt)]),
    tryToListen(address).then((refusal) => [judgePort(address, refusal)]),
    videodatabase === undefined ? [] : checkVideoDatabase(videodatabase, limits.freeSpaceBytes),
    chunkdirectory === undefined ? [] : checkChunkDirectory(chunkdirectory, limits.freeSpaceBytes),
    args.keyfile === undefined ? [] : checkKeyFile(args.keyfile).then((finding) => [finding]),
    args.allow === undefined ? [] : checkAllowFile(args.allow).then((finding) => [finding]),
    master === undefined ? [] : checkMaster(master, args.keyfile, clock),
  ])
  return findings.flat()
}

async function checkMaster(address: Address, keyfile: string | undefined, clock: Clock): Promise<Finding[]> {
  // What is wrong with the file is said by a line of its own.
  const peer = new Peer(address, clock, await openKeys(keyfile).catch(() => undefined))
  try {
    return judgeMaster(address, await lookAtMaster(peer, clock))
  } finally {
    await peer.close()
  }
}

/** When this program was compiled or installed, ms since 1970. */
async function builtAtMs(): Promise<number> {
  return (await stat(fileURLToPath(import.meta.url))).mtimeMs
}

/** A line each. What a master says of itself is shown to a terminal, so nothing in it may steer one. */
export function showFindings(findings: Finding[]): string {
  const rows = findings.map((finding) => {
    const { level, check, found } = finding
    return [level, check, level === 'ok' ? found : `${found}; ${finding.todo}`]
  })
  return table(
    [],
    rows.map((row) => row.map((cell) => cell.replaceAll(/\p{Cc}/gu, '?'))),
  )
}
