import { pino } from 'pino'
import type { Logger } from '../base/log.ts'

export const logLevels = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof logLevels)[number]

/** Writes to standard error: JSON lines for programs, or one plain line each for people. */
export function createLogger(options: { name: string; level: LogLevel; json: boolean }): Logger {
  const { name, level, json } = options
  const stream = { write: (line: string) => void process.stderr.write(json ? line : plain(line)) }
  const log = pino({ name, level, base: { name } }, stream)
  return {
    info: (message, fields = {}) => log.info(fields, message),
    warn: (message, fields = {}) => log.warn(fields, message),
    error: (message, fields = {}) => log.error(fields, message),
  }
}

function plain(line: string): string {
  const { name, level, msg } = JSON.parse(line) as { name: string; level: number; msg: string }
  const mark = level >= 50 ? ' error:' : level >= 40 ? ' warning:' : ''
  return `${name}:${mark} ${msg}\n`
}
