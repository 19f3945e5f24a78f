import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Protection, protections } from '../../lib/base/protections.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** For each protection a test that must fail when it is off. */
const guards: Record<Protection, { file: string; test: string }> = {
  digests: { file: 'test/integration/poison.test.ts', test: 'flipped in the store of a relay' },
  signatures: { file: 'test/unit/stream-formats.test.ts', test: 'is refused when signed by another key' },
  pins: { file: 'test/integration/poison.test.ts', test: 'of a descriptor signed with another key' },
  hedges: { file: 'test/unit/fetch-plan.test.ts', test: 'caps hedges at a share' },
  failover: { file: 'test/integration/failover.test.ts', test: 'when the master is killed' },
  roles: { file: 'test/integration/admission.test.ts', test: 'refuses calls beyond the role of a key' },
  nesting: { file: 'test/unit/zerorpc-event.test.ts', test: 'nested deeper than 24 levels' },
}

describe('a protection that is off', function () {
  this.timeout(90_000)

  for (const protection of protections) {
    const { file, test } = guards[protection]
    it(`is missed: without ${protection}, "${test}" fails`, async () => {
      const { passes, failures } = await run(file, test, protection)
      expect(passes + failures, 'the test was found').to.be.greaterThan(0)
      expect(failures).to.be.greaterThan(0)
    })
  }
})

/** Runs the tests of a file whose name holds `test`. */
function run(file: string, test: string, off: Protection): Promise<{ passes: number; failures: number }> {
  const mocha = fileURLToPath(new URL('../../node_modules/mocha/bin/mocha.js', import.meta.url))
  const child = spawn(
    process.execPath,
    [mocha, file, '--grep', test, '--reporter', 'json', '--timeout', '20000', '--exit'],
    {
      // A group of its own: mocha runs the tests in a process of its own.
      detached: true,
      cwd: root,
      env: { ...process.env, PEERSTREAMER_TEST_OFF: off },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  // Without the protection a test may wait for what never comes.
  const limit = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), 25_000)
  let text = ''
  child.stdout?.on('data', (data: Buffer) => {
    text += data.toString()
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (_, signal) => {
      clearTimeout(limit)
      if (signal) resolve({ passes: 0, failures: 1 })
      else resolve(JSON.parse(text.slice(text.indexOf('{\n'))).stats)
    })
  })
}
