import { digestOf } from '../base/digest.ts'

/** Names one epoch of one stream in stores and maps: `<stream id in hex>/<epoch>`. */
export type StreamKey = string

/** The stream id: digest of public key and name. */
export function streamIdOf(publicKey: Uint8Array, name: string): Buffer {
  return digestOf(Buffer.concat([publicKey, Buffer.from(name)]))
}

export function streamKeyOf(streamId: Uint8Array, epoch: number): StreamKey {
  return `${Buffer.from(streamId).toString('hex')}/${epoch}`
}
