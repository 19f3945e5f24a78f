/** How much is measured. The quick run shows the same rows from less: for trying a change, not for judging it. */
export interface Settings {
  isQuick: boolean
  /** Interleaved rounds of all contenders. */
  rounds: number
  /** How often a row is measured that has no contender. */
  repeats: number
  /** MiB that one client takes, when it is alone, when it is one of eight, and of the slow contenders. */
  alone: number
  together: number
  slow: number
  /** Seconds of iperf3. */
  limitSeconds: number
  /** Whether free memory is touched beforehand, which takes a minute at first. */
  touchesMemory: boolean
  /** MB of the streams that peak memory is compared on. */
  memory: { long: number; short: number; repeats: number }
  /** MiB that each child takes, and how many children. What a process spends once, and the memory that it takes for the first time, should not be most of it. */
  children: { few: number; many: number; mib: number; repeats: number }
  /** Streams whose first chunk is timed. */
  firstChunks: number
}

export const fullRun: Settings = {
  isQuick: false,
  rounds: 5,
  repeats: 15,
  alone: 1024,
  together: 384,
  slow: 192,
  limitSeconds: 3,
  touchesMemory: true,
  memory: { long: 4000, short: 500, repeats: 2 },
  children: { few: 4, many: 32, mib: 192, repeats: 5 },
  firstChunks: 15,
}

export const quickRun: Settings = {
  isQuick: true,
  rounds: 2,
  repeats: 3,
  alone: 256,
  together: 96,
  slow: 64,
  limitSeconds: 1,
  touchesMemory: false,
  memory: { long: 400, short: 100, repeats: 1 },
  children: { few: 4, many: 12, mib: 32, repeats: 1 },
  firstChunks: 5,
}

export const mib = 1024 * 1024
/** Chunks of the stream of small chunks: well past chunk 100,000, so that growth along a stream shows. */
export const smallChunks = 115_000
/** Bytes of a small chunk: `split_video -c 5k`. */
export const smallChunkBytes = 5 * 1024
