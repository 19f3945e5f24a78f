import cliProgress from 'cli-progress'
import { formatBytes } from '../base/units.ts'

export interface ProgressBar {
  show(done: number, total: number | undefined): void
  /** Takes it away; a later `show` begins a new one. */
  stop(): void
}

/** Bytes done, on a terminal; `step` says of what. */
export function progressBar(step = ''): ProgressBar {
  const bar = new cliProgress.SingleBar({
    format: `${step && `${step} `}{bar} {percentage} %  {done}`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  })
  let isShown = false
  return {
    show(done, total) {
      if (!isShown) bar.start(total ?? 0, 0, { done: '' })
      isShown = true
      bar.update(done, { done: formatBytes(done) })
    },
    stop() {
      if (isShown) bar.stop()
      isShown = false
    },
  }
}
