import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** Breaks the disk of the process `pid`, mounted at `disk` by `onSmallDisk`; what it returns mends it. */
export type DiskFault = (pid: string, disk: string) => Promise<() => Promise<void>>

/** The command before one that shall have a tmpfs of its own at `disk`, in a mount namespace that ends with it. */
export function onSmallDisk(disk: string, size: string): string[] {
  return ['unshare', '-rm', 'sh', '-c', `mount -t tmpfs -o size=${size} tmpfs ${disk} && exec "$@"`, 'sh']
}

export const readOnly: DiskFault = async (pid, disk) => {
  // A read-only view of the disk is put over it: a disk that has files open to write cannot be turned so itself.
  // A file that is opened between the two steps hinders the second.
  const once = `mount --bind ${disk} ${disk} && mount -o remount,bind,ro ${disk} && exit`
  must(...enter(pid), 'sh', '-c', `for i in 1 2 3 4 5; do ${once}; umount -l ${disk}; done; exit 1`)
  return async () => must(...enter(pid), 'umount', '-l', disk)
}

export const full: DiskFault = async (pid, disk) => {
  const ballast = join(disk, 'ballast')
  must(...enter(pid), 'sh', '-c', `head -c 1g /dev/zero > ${ballast} || true`)
  return async () => must(...enter(pid), 'rm', ballast)
}

export const noMoreFiles: DiskFault = async (pid) => {
  must('sh', '-c', `prlimit --pid ${pid} --nofile=$(ls /proc/${pid}/fd | wc -l):`)
  return async () => must('prlimit', '--pid', pid, '--nofile=1024:')
}

/** The kernel answers every call that reads, writes or flushes a file of the store with EIO, as a dying disk makes it do. */
export const inputOutputError: DiskFault = async (pid) => {
  // Nothing else of a node reads or writes at an offset, or flushes.
  const calls = 'pread64,preadv,pwrite64,pwritev,fdatasync,fsync'
  const tracer = spawn('strace', ['-f', '-o', '/dev/null', '-e', `inject=${calls}:error=EIO`, '-p', pid], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<void>((resolve) => tracer.once('close', () => resolve()))
  const said = await new Promise<string>((resolve) => {
    tracer.stderr.once('data', (bytes) => resolve(String(bytes)))
    tracer.once('error', (error) => resolve(error.message))
  })
  if (!said.includes('attached')) throw new Error(`this test needs strace and the right to trace its own: ${said}`)
  return async () => {
    tracer.kill('SIGINT')
    await ended
  }
}

function enter(pid: string): string[] {
  return ['nsenter', `--target=${pid}`, '--user', '--mount', '--preserve-credentials']
}

function must(...[command = '', ...args]: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}
