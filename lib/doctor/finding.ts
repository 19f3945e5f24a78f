/**
 * What one look at the machine found. `warn`: it works, and worse than it could. `FAIL`: something will not work, or is
 * certainly wrong. Both say what to do.
 */
export type Finding = { check: string; found: string } & ({ level: 'ok' } | { level: 'warn' | 'FAIL'; todo: string })

export function ok(check: string, found: string): Finding {
  return { level: 'ok', check, found }
}

export function warn(check: string, found: string, todo: string): Finding {
  return { level: 'warn', check, found, todo }
}

export function fail(check: string, found: string, todo: string): Finding {
  return { level: 'FAIL', check, found, todo }
}

/** The first `most` of many names, and how many more there are. */
export function shorten(names: string[], most: number): string {
  const shown = names.slice(0, most).join(', ')
  return names.length > most ? `${shown} and ${names.length - most} more` : shown
}
