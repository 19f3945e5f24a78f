import type { OptionName } from './options.ts'

/** One command: the same as a program of its own and behind the front door. */
export interface Command<Arguments> {
  name: string
  /** One line, for the list of commands. */
  describe: string
  /** A positional argument that must be given. */
  positional?: { name: string; describe: string }
  /** What follows the name of the program in the line "Usage:". */
  usage: string
  /** Command lines, `$0` standing for the program, and what each does. */
  examples: [line: string, does: string][]
  options: readonly OptionName[]
  /** Values of options whose default differs from the table's. */
  defaults?: Partial<Record<OptionName, string>>
  run(args: Arguments): Promise<void>
}

/** What `--help` opens with: examples first, then the form. */
export function opening(program: string, { usage, examples }: Pick<Command<never>, 'usage' | 'examples'>): string {
  // yargs takes away what a line is indented by.
  const shown = examples.map(([line, does]) => `# ${does}\n${line.replaceAll('$0', program)}`)
  return `${shown.join('\n')}\n\nUsage: ${program} ${usage}`
}
