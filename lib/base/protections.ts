/**
 * What keeps lies and failures out, each with a switch for tests: a protection that can be off without a test failing is not tested
 * (test/faults/protections.test.ts). A node says loudly at start when one is off.
 */
export const protections = ['digests', 'signatures', 'pins', 'hedges', 'failover', 'roles', 'nesting'] as const
export type Protection = (typeof protections)[number]

/** Names apart from one another by commas. */
const variable = 'PEERSTREAMER_TEST_OFF'
const off = new Set((process.env[variable] ?? '').split(','))

export function isOff(protection: Protection): boolean {
  return off.has(protection)
}

/** A sentence for the operator when any is off. */
export function warningOfProtections(): string | undefined {
  const names = protections.filter(isOff)
  return names.length > 0 ? `FOR TESTS ONLY: ${variable} switches off ${names.join(', ')}` : undefined
}
