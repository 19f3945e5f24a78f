// `npm test`: installs what is missing, then all checks and tests. `npm test -- unit e2e` runs only those layers.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, checkNode, installPackages, installPrograms, root } from './setup.mjs'

const layers = ['unit', 'compliance', 'integration', 'interop', 'e2e', 'faults']
/** Files at a time. More fault tests would be done sooner, but on a slow machine they would see its load, not their faults. */
const jobs = { e2e: 2, faults: 2 }
const asked = process.argv.slice(2)
const wrong = asked.filter((name) => !layers.includes(name))
if (wrong.length > 0) {
  process.stderr.write(`expected layers among ${layers.join(', ')}, got ${wrong.join(', ')}\n`)
  process.exit(2)
}

checkNode()
installPackages()
installPackages('test/interop')
installPrograms(['ffmpeg', 'python', 'ip', 'strace'])

const tally = { passed: 0, failed: 0, skipped: 0 }
const local = (name) => join(root, 'node_modules/.bin', name)

/** One check that passes or fails as a whole. */
function check(title, program, args) {
  const startedAt = performance.now()
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (status === 0) tally.passed++
  else tally.failed++
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${title} (${seconds(startedAt)} s)`)
}

function runLayer(layer) {
  const startedAt = performance.now()
  const report = join(mkdtempSync(join(tmpdir(), 'peerstreamer-test-')), 'report.json')
  const args = [
    '--reporter',
    join(root, 'test/support/reporter.cjs'),
    '--reporter-option',
    `file=${report}`,
    ...(jobs[layer] ? ['--parallel', '--jobs', String(jobs[layer])] : []),
    `test/${layer}/**/*.test.ts`,
  ]
  const { status } = spawnSync(local('mocha'), args, { cwd: root, stdio: 'inherit' })
  const counts = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : { passed: 0, failed: 1, skipped: 0 }
  rmSync(join(report, '..'), { recursive: true, force: true })
  // A layer that saw nothing, or a runner that ended otherwise than its tests, has failed.
  if (counts.passed + counts.failed === 0 || (status !== 0 && counts.failed === 0)) counts.failed++
  for (const key of Object.keys(tally)) tally[key] += counts[key]
  console.log(
    `${counts.failed === 0 ? 'ok    ' : 'FAILED'} ${layer}: ${counts.passed} passed, ${counts.failed} failed (${seconds(startedAt)} s)`,
  )
}

function seconds(startedAt) {
  return ((performance.now() - startedAt) / 1000).toFixed(1)
}

if (asked.length === 0) {
  check('type check', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json'])
  check('Biome', local('biome'), ['check', '--error-on-warnings'])
  check('Knip', local('knip'), ['--no-progress'])
}
build()
for (const layer of layers) {
  if (asked.length > 0 && !asked.includes(layer)) continue
  if (readdirSync(join(root, 'test')).includes(layer)) runLayer(layer)
}
const isBad = tally.failed > 0 || (process.env.CI && tally.skipped > 0)
console.log(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`)
process.exit(isBad ? 1 : 0)
