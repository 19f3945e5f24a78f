/**
 * A value with bytes beside it. To a peer that announced payload frames the bytes travel as ZeroMQ frames of their own
 * (msgpack would copy them); to any other they stand inside the value, as `value[key]`, in one piece.
 */
export class WithPayload {
  readonly value: Record<string, unknown>
  readonly frames: Uint8Array[]
  readonly key: string
  /** Called when the frames are not used any more; never for a streamed value, or a caller that does not tell what it has read. */
  readonly onRead: (() => void) | undefined

  constructor(
    value: Record<string, unknown>,
    frames: Uint8Array[],
    options: { key?: string; onRead?: (() => void) | undefined } = {},
  ) {
    this.value = value
    this.frames = frames
    this.key = options.key ?? 'data'
    this.onRead = options.onRead
  }

  /** The value with the bytes inside. */
  inline(): Record<string, unknown> {
    const [only] = this.frames
    return { ...this.value, [this.key]: this.frames.length === 1 && only ? only : Buffer.concat(this.frames) }
  }
}
