import { type Context, Reply } from 'zeromq'

/** Decides whether a key may connect at all; told by ZeroMQ before a message of that connection is taken. */
export type Admits = (publicKey: Buffer, from: string) => boolean

/**
 * ZeroMQ's authentication protocol (RFC 27/ZAP) for the sockets of one context: a request for each handshake, answered with
 * 200 or 400. What cannot be understood is refused.
 */
export class ZapHandler {
  readonly #socket: Reply
  readonly #admits: Admits
  #answering: Promise<void> | undefined

  constructor(context: Context, admits: Admits) {
    this.#socket = new Reply({ context, linger: 0 })
    this.#admits = admits
  }

  /** Must be done before a socket of the context listens. */
  async open(): Promise<void> {
    await this.#socket.bind('inproc://zeromq.zap.01')
    this.#answering = this.#answer()
  }

  async close(): Promise<void> {
    this.#socket.close()
    await this.#answering
  }

  async #answer(): Promise<void> {
    try {
      for await (const [version, requestId, , address, , mechanism, key] of this.#socket) {
        const isAdmitted =
          mechanism?.toString() === 'CURVE' && key?.length === 32 && this.#admits(key, address?.toString() ?? '')
        const answer = isAdmitted ? ['200', 'OK'] : ['400', 'No access']
        await this.#socket.send([version ?? '1.0', requestId ?? '', ...answer, '', ''])
      }
    } catch {
      // The socket was closed; without an answer ZeroMQ refuses.
    }
  }
}
