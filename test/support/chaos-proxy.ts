import { createServer, type Server, type Socket, connect as tcpConnect } from 'node:net'
import { systemClock } from '../../lib/base/clock.ts'
import { splitAddress } from '../../lib/stream/address.ts'
import { seededChance } from './seeded.ts'

/** What the proxy does to the bytes of one direction. */
export interface Weather {
  delayMs: number
  /** Added to the delay, evenly between 0 and this; the order stays. */
  jitterMs: number
  bytesPerSec: number
  /** Nothing arrives; what was sent meanwhile arrives when it ends, as TCP would send it again. */
  blackHole: boolean
  /** One bit is flipped in every so many bytes on average; 0 for none. */
  flipEvery: number
}

const calm: Weather = {
  delayMs: 0,
  jitterMs: 0,
  bytesPerSec: Number.POSITIVE_INFINITY,
  blackHole: false,
  flipEvery: 0,
}

/** A TCP proxy before one node that makes bad weather on its connections. What it does follows from its seed and the traffic. */
export class ChaosProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #held = new Set<() => void>()
  readonly #clients = new Set<Socket>()
  readonly #swallowed = new WeakSet<Socket>()
  readonly #chance: () => number
  readonly #port: number
  /** Towards the node, and back from it. */
  #up = calm
  #down = calm
  flips = 0
  /** Bytes that came from the node. */
  bytesDown = 0

  private constructor(server: Server, target: string, seed: number) {
    this.#server = server
    this.#chance = seededChance(seed)
    this.#port = (server.address() as { port: number }).port
    server.on('connection', (client) => this.#join(client, target))
  }

  static async before(target: string, seed: number): Promise<ChaosProxy> {
    const server = createServer({ allowHalfOpen: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new ChaosProxy(server, target, seed)
  }

  get address(): string {
    return `tcp://127.0.0.1:${this.#port}`
  }

  /** Changes both directions, or one; what is not named becomes calm. */
  weather(both: Partial<Weather>): void {
    this.#up = this.#down = { ...calm, ...both }
    this.#release()
  }

  weatherUp(weather: Partial<Weather>): void {
    this.#up = { ...calm, ...weather }
    this.#release()
  }

  weatherDown(weather: Partial<Weather>): void {
    this.#down = { ...calm, ...weather }
    this.#release()
  }

  /** Resets all connections. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** The connections that are there carry nothing any more, for ever; new ones do. */
  swallow(): void {
    for (const socket of this.#sockets) this.#swallowed.add(socket)
  }

  /** Sends bytes of its own down every connection. */
  inject(bytes: Uint8Array): void {
    for (const client of this.#clients) client.write(bytes)
  }

  async close(): Promise<void> {
    this.reset()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #release(): void {
    const held = [...this.#held]
    this.#held.clear()
    for (const again of held) again()
  }

  #join(client: Socket, target: string): void {
    const { host, port } = splitAddress(target)
    this.#clients.add(client)
    client.once('close', () => this.#clients.delete(client))
    const node = tcpConnect({ host, port: Number(port), allowHalfOpen: true })
    for (const [socket, other] of [
      [client, node],
      [node, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      // An end of one side is the end of both; errors are the weather.
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    this.#carry(client, node, () => this.#up)
    this.#carry(node, client, () => this.#down)
    node.on('data', ({ length }: Buffer) => {
      this.bytesDown += length
    })
  }

  /** Takes bytes of one side and gives them to the other when their time has come. */
  #carry(from: Socket, to: Socket, weather: () => Weather): void {
    let freeAt = 0
    const underWay: Buffer[] = []
    const carry = (bytes: Buffer) => {
      if (this.#swallowed.has(from)) return
      const { delayMs, jitterMs, bytesPerSec, blackHole, flipEvery } = weather()
      if (blackHole) {
        from.pause()
        this.#held.add(() => {
          carry(bytes)
          from.resume()
        })
        return
      }
      if (flipEvery > 0) this.#flip(bytes, flipEvery)
      const now = systemClock.now()
      const sentAt = Math.max(now, freeAt) + (bytes.length / bytesPerSec) * 1000
      freeAt = sentAt
      const waitMs = sentAt - now + delayMs + jitterMs * this.#chance()
      if (waitMs <= 0 && underWay.length === 0) return this.#give(from, to, bytes)
      underWay.push(bytes)
      // A slow line is a full one: the sender feels it.
      if (sentAt - now > 100) from.pause()
      systemClock.after(Math.max(waitMs, 0), () => {
        from.resume()
        // Whoever's time it is, the oldest goes first.
        this.#give(from, to, underWay.shift() ?? bytes)
      })
    }
    from.on('data', carry)
    from.on('end', () => to.end())
  }

  #give(from: Socket, to: Socket, bytes: Buffer): void {
    if (to.destroyed || to.writableEnded) return
    if (to.write(bytes)) return
    from.pause()
    // What was late and comes out together waits together.
    if (to.listenerCount('drain') === 0) to.once('drain', () => from.resume())
  }

  #flip(bytes: Buffer, every: number): void {
    const chance = 1 - (1 - 1 / every) ** bytes.length
    if (this.#chance() >= chance) return
    const at = Math.floor(this.#chance() * bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(this.#chance() * 8))
    this.flips++
  }
}
