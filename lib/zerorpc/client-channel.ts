import { Failure } from '../base/errors.ts'
import type { Event } from './event.ts'
import type { Beating } from './heartbeat.ts'

/** Whom a call in progress tells of its answers and of its end. */
export interface ChannelListener {
  onEvent(event: Event, payload: Uint8Array[]): void
  onEnd(error: unknown): void
}

/** Ends the call; what comes for it later is dropped. */
export type EndChannel = (() => void) & { channel: ClientChannel }

/** One call in progress at a client. */
export class ClientChannel implements Beating {
  readonly id: string
  readonly listener: ChannelListener
  /** When the call began, ms. */
  readonly openedAt: number
  heardAt: number
  beatAt: number
  isOver = false
  release = () => {}
  readonly #send: (event: Event) => void
  #count = 0

  constructor(id: string, now: number, listener: ChannelListener, send: (event: Event) => void) {
    this.id = id
    this.openedAt = now
    this.heardAt = now
    this.beatAt = now
    this.listener = listener
    this.#send = send
  }

  send(name: string, args: unknown): void {
    if (this.isOver) return
    this.#send({ header: { message_id: `${this.id}.${this.#count++}`, v: 3, response_to: this.id }, name, args })
  }

  beat(): void {
    this.send('_zpc_hb', [0])
  }

  lost(): void {
    this.fail(new Failure('unreachable', 'Lost remote: it fell silent'))
  }

  fail(error: unknown): void {
    if (this.isOver) return
    this.end()
    this.listener.onEnd(error)
  }

  end(): void {
    this.isOver = true
    this.release()
  }
}
