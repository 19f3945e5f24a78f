import { type Finding, fail, ok, warn } from './finding.ts'

/** A full node: `limits.childrenPerNode` children with two sockets each, LevelDB's 1,000 files, slabs and films. */
const enough = 4096
/** LevelDB, ZeroMQ and Node themselves; ZeroMQ ends the process when it gets no more. */
const least = 256
const raise = `raise it: ulimit -n 65536 in the shell, LimitNOFILE=65536 in a systemd unit`

/** The limit of this process, files; undefined when the system does not tell. */
export function openFileLimit(): number | undefined {
  const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } }
  const soft = report.userLimits?.open_files?.soft
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : typeof soft === 'number' ? soft : undefined
}

export function judgeOpenFiles(limit: number | undefined): Finding {
  if (limit === undefined) return warn('open-files', 'the limit of open files cannot be seen', 'look with ulimit -n')
  const found = limit === Number.POSITIVE_INFINITY ? 'no limit of open files' : `at most ${limit} open files`
  if (limit >= enough) return ok('open-files', found)
  if (limit >= least) return warn('open-files', `${found}: few for a node with many children`, raise)
  return fail('open-files', `${found}: a node would end when it needs more`, raise)
}
