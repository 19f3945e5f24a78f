/** How a chunk begins. */
export const chunkStart = {
  /** At a keyframe: a decoder can start here. */
  keyframe: 2,
  /** At a fragment that does not start with a keyframe. */
  fragment: 1,
  /** In the midst of a fragment (or, for `bytes`, anywhere). */
  continues: 0,
} as const

export type ChunkStart = (typeof chunkStart)[keyof typeof chunkStart]

/** Times of one track in the fragments that start in a chunk, in ticks of the track's timescale. */
export interface TrackTimes {
  track: number
  /** Decode time of the first sample (tfdt). */
  decodeStart: number
  /** Decode time after the last sample. */
  decodeEnd: number
  /** Least and greatest presentation time; the greatest includes the last sample's duration. */
  presentStart: number
  presentEnd: number
}

/** What is known of one chunk before its bytes are fetched. */
export interface ChunkRecord {
  sizeBytes: number
  /** Of the bytes as stored: of an encrypted stream, of ciphertext and tag. */
  digest: Uint8Array
  start: ChunkStart
  /** Empty when no fragment starts in the chunk, and for `bytes`. */
  times: TrackTimes[]
  /** What the chunk is encrypted with beside the key; undefined when it is not encrypted. See content.ts. */
  nonce?: Uint8Array
}
