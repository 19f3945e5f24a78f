import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

/**
 * Hosts of a test's own, each in a network namespace, with a router between them that can be told to drop what one sends
 * to another. All of it lives in one user, mount and network namespace, held by one process: when that ends, with the test or
 * because the test was killed, the kernel takes everything away. Needs no root, only `unshare`, `nsenter` and `ip`.
 */
export class Lab {
  readonly #keeper: ChildProcess
  readonly #hosts: string[] = []

  private constructor(keeper: ChildProcess) {
    this.#keeper = keeper
  }

  static async open(): Promise<Lab> {
    const script = 'mount -t tmpfs tmpfs /run && ip link set lo up && echo ready && exec cat'
    // It ends when this process does: then its standard input ends.
    const keeper = spawn('unshare', ['--user', '--map-root-user', '--mount', '--net', 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const isReady = await new Promise<boolean>((resolve) => {
      keeper.stdout?.once('data', () => resolve(true))
      keeper.once('error', () => resolve(false))
      keeper.once('close', () => resolve(false))
    })
    if (!isReady) throw new Error('this test needs unshare and nsenter (util-linux), ip (iproute2) and user namespaces')
    const lab = new Lab(keeper)
    lab.#inside(
      'cd /proc/sys/net/ipv4 && echo 1 > ip_forward && echo 0 > conf/all/rp_filter && echo 0 > conf/default/rp_filter',
    )
    return lab
  }

  /** A host; returns its address. */
  host(name: string): string {
    const index = this.#hosts.push(name)
    const [own, gateway] = [addressAt(index), `10.77.${index}.1`]
    this.#inside(`
      ip netns add ${name}
      ip link add r${index} type veth peer name eth0 netns ${name}
      ip addr add ${gateway}/24 dev r${index} && ip link set r${index} up
      ip -n ${name} addr add ${own}/24 dev eth0
      ip -n ${name} link set lo up && ip -n ${name} link set eth0 up
      ip -n ${name} route add default via ${gateway}`)
    return own
  }

  /** The command before one that shall run at a host. */
  at(name: string): string[] {
    return [...this.#enter(), 'nsenter', `--net=/run/netns/${name}`]
  }

  /** Drops all that `from` sends to `to`, without a word to either. */
  cut(from: string, to: string): void {
    this.#rule('add', from, to)
  }

  mend(from: string, to: string): void {
    this.#rule('del', from, to)
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#keeper.once('close', resolve))
    this.#keeper.stdin?.end()
    await ended
  }

  #rule(action: 'add' | 'del', from: string, to: string): void {
    const [source, target] = [from, to].map((name) => addressAt(this.#hosts.indexOf(name) + 1))
    this.#inside(`ip rule ${action} from ${source} to ${target} blackhole`)
  }

  #inside(script: string): void {
    const [command = '', ...args] = [...this.#enter(), 'sh', '-ec', script]
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`cannot set up the hosts of this test: ${stderr.trim()}`)
  }

  #enter(): string[] {
    return ['nsenter', `--target=${this.#keeper.pid}`, '--user', '--mount', '--net', '--preserve-credentials']
  }
}

function addressAt(index: number): string {
  return `10.77.${index}.2`
}
