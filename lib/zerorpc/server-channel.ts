import { Failure } from '../base/errors.ts'
import type { Event } from './event.ts'
import type { Beating } from './heartbeat.ts'
import { WithPayload } from './payload.ts'
import type { CallContext, Handler } from './server.ts'

export interface ServerChannelOptions {
  now: number
  /** `onRead` is called when the caller has told that it has the frames. */
  send(name: string, args: unknown, frames: Uint8Array[], onRead?: () => void): void
  /** Undefined when the caller reads; else resolves when it does again. */
  whenReading(): Promise<void> | undefined
  /** Whether the caller announced that it understands payload frames. */
  takesPayload: boolean
  release(): void
}

/** One call in progress at a server, and the credit of its streamed answer. */
export class ServerChannel implements Beating {
  heardAt: number
  beatAt: number
  readonly #options: ServerChannelOptions
  readonly #abort = new AbortController()
  /** A fresh channel has one credit; `_zpc_more` adds to it. */
  #credit = 1
  #onCredit = () => {}
  #isOver = false

  constructor(options: ServerChannelOptions) {
    this.#options = options
    this.heardAt = options.now
    this.beatAt = options.now
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Takes an event that the caller sent on the channel. */
  take(event: Event, now: number): void {
    this.heardAt = now
    if (event.name !== '_zpc_more') return
    const [more] = Array.isArray(event.args) ? event.args : []
    if (typeof more !== 'number' || !Number.isInteger(more) || more < 0 || more > 1_000_000) return
    this.#credit += more
    this.#onCredit()
  }

  /** Runs the handler and sends what it answers; returns an error that is a fault of the program, if any. */
  async run(handle: Handler, args: unknown[], context: CallContext): Promise<unknown> {
    try {
      const answer = await handle(args, context)
      if (isAsyncIterable(answer)) await this.#stream(answer)
      else this.#value('OK', answer)
      return undefined
    } catch (error) {
      if (!this.#isOver) this.fail(error)
      return error instanceof Failure || this.#abort.signal.aborted ? undefined : error
    } finally {
      this.#end()
    }
  }

  /** Answers with an error; of a `Failure` the code travels in the place of the name. Stacks stay here. */
  fail(error: unknown): void {
    if (error instanceof Failure) this.error(error.code, error.message)
    else if (error instanceof Error) this.error(error.name, error.message)
    else this.error('Error', String(error))
  }

  error(name: string, message: string): void {
    if (!this.#isOver) this.#options.send('ERR', [name, message, ''], [])
    this.#end()
  }

  beat(): void {
    this.#options.send('_zpc_hb', [0], [])
  }

  lost(): void {
    this.#end()
    this.#abort.abort(new Failure('unreachable', 'the caller fell silent'))
    this.#onCredit()
  }

  /** The server ends the call. */
  cancel(reason: Failure): void {
    this.fail(reason)
    this.#abort.abort(reason)
    this.#onCredit()
  }

  async #stream(values: AsyncIterable<unknown>): Promise<void> {
    const iterator = values[Symbol.asyncIterator]()
    try {
      for (;;) {
        while (this.#credit === 0 && !this.#isOver) {
          await new Promise<void>((resolve) => {
            this.#onCredit = resolve
          })
        }
        await this.#options.whenReading()
        if (this.#isOver) return
        const next = await iterator.next()
        if (this.#isOver) return
        if (next.done) break
        this.#credit--
        this.#value('STREAM', next.value)
      }
      this.#options.send('STREAM_DONE', null, [])
    } finally {
      await iterator.return?.()
    }
  }

  #value(name: 'OK' | 'STREAM', value: unknown): void {
    if (this.#isOver) return value instanceof WithPayload ? value.onRead?.() : undefined
    const wrap = (plain: unknown) => (name === 'OK' ? [plain] : plain)
    if (!(value instanceof WithPayload)) this.#options.send(name, wrap(value), [])
    else if (this.#options.takesPayload)
      this.#options.send(name, wrap(value.value), value.frames, name === 'OK' ? value.onRead : undefined)
    else {
      this.#options.send(name, wrap(value.inline()), [])
      value.onRead?.()
    }
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#options.release()
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
