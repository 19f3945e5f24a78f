/** What happened, for whoever runs the node. One line each; fields are for programs that read the log. */
export interface Logger {
  info(message: string, fields?: object): void
  warn(message: string, fields?: object): void
  error(message: string, fields?: object): void
}

export const silentLogger: Logger = { info() {}, warn() {}, error() {} }
