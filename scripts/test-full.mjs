// `npm run test:full [-- GROUP ...]`: the fault tests with the figures of their full column, in shares, each with a seed of its own. It can be
// stopped at any time and goes on where it was; `--fresh` begins anew, `--soak-minutes` shortens the soak of 8 hours, `--jobs` runs
// several parts at a time (they mostly wait). The report is a table and .cache/test-full-report.json.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build, checkNode, installPackages, installPrograms, root } from './setup.mjs'

/** Into how many parts the full figures are cut; a part is what is lost when the run is stopped. Memory is watched in one. */
const shares = 20
const sharesOf = (group) => (group === 'soak' ? 1 : shares)
const firstSeed = 2026
const folder = join(root, 'test/faults')
const statePath = join(root, '.cache/test-full.json')
const reportPath = join(root, '.cache/test-full-report.json')

const groups = readdirSync(folder)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => name.replace('.test.ts', ''))
const { values: flags, positionals: asked } = options()
const [jobs, soakMinutes] = [flags.jobs, flags['soak-minutes']].map(Number)
if (!(Number.isInteger(jobs) && jobs > 0 && soakMinutes > 0)) {
  process.stderr.write('expected --jobs and --soak-minutes to be numbers above 0\n')
  process.exit(2)
}
const wrong = asked.filter((name) => !groups.includes(name))
if (wrong.length > 0) {
  process.stderr.write(`expected groups among ${groups.join(', ')}, got ${wrong.join(', ')}\n`)
  process.exit(2)
}

checkNode()
installPackages()
installPrograms(['ip', 'strace'])
build()
mkdirSync(join(root, '.cache'), { recursive: true })
if (flags.fresh) rmSync(statePath, { force: true })
/** What was run: group, share, seed, whether it passed, seconds, findings. */
const state = existsSync(statePath) ? JSON.parse(readFileSync(statePath, 'utf8')) : { shares, parts: [] }

// The one long part comes last.
const parts = Array.from({ length: shares }, (_, share) => groups.map((group) => ({ group, share }))).flat()
parts.sort((a, b) => Number(a.group === 'soak') - Number(b.group === 'soak'))
const left = parts.filter(
  ({ group, share }) =>
    share < sharesOf(group) &&
    (asked.length === 0 || asked.includes(group)) &&
    !state.parts.some((part) => part.group === group && part.share === share && part.passed),
)
await Promise.all(Array.from({ length: jobs }, work))
report()
process.exit(state.parts.some((part) => !part.passed) ? 1 : 0)

/** One part after another, while there are any. */
async function work() {
  for (let next = left.shift(); next; next = left.shift()) await runAndNote(next)
}

async function runAndNote({ group, share }) {
  const part = await runPart(group, share)
  state.parts = [...state.parts.filter((other) => other.group !== group || other.share !== share), part]
  writeFileSync(statePath, JSON.stringify(state))
  const how = part.passed ? 'ok    ' : 'FAILED'
  console.log(`${how} ${group}, part ${share + 1} of ${sharesOf(group)}, seed ${part.seed} (${part.seconds} s)`)
  if (!part.passed) console.log(part.output)
}

function options() {
  try {
    return parseArgs({
      options: {
        fresh: { type: 'boolean' },
        jobs: { type: 'string', default: '1' },
        'soak-minutes': { type: 'string', default: '480' },
      },
      allowPositionals: true,
    })
  } catch (error) {
    process.stderr.write(`${error.message}; expected --fresh, --jobs N, --soak-minutes N and groups\n`)
    process.exit(2)
  }
}

async function runPart(group, share) {
  const seed = firstSeed + share
  const scratch = mkdtempSync(join(tmpdir(), 'peerstreamer-full-'))
  const findingsPath = join(scratch, 'findings.jsonl')
  const startedAt = performance.now()
  const child = spawn(join(root, 'node_modules/.bin/mocha'), ['--exit', join('test/faults', `${group}.test.ts`)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PEERSTREAMER_TEST_FULL: '1',
      PEERSTREAMER_TEST_SHARES: String(sharesOf(group)),
      PEERSTREAMER_TEST_SOAK_MINUTES: String(soakMinutes),
      PEERSTREAMER_TEST_SEED: String(seed),
      PEERSTREAMER_TEST_FINDINGS: findingsPath,
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      output = (output + text).slice(-6000)
    })
  const [status, signal] = await once(child, 'close')
  // Ctrl-C reaches the tests, too: what they were at is no result.
  if (signal === 'SIGINT' || status === 130) process.exit(130)
  const lines = existsSync(findingsPath) ? readFileSync(findingsPath, 'utf8').trim().split('\n').filter(Boolean) : []
  rmSync(scratch, { recursive: true, force: true })
  const passed = status === 0
  const seconds = Number(((performance.now() - startedAt) / 1000).toFixed(1))
  const findings = lines.map((line) => JSON.parse(line))
  return {
    group,
    share,
    seed,
    passed,
    seconds,
    findings,
    ...(passed ? {} : { output }),
  }
}

function report() {
  const rows = new Map()
  for (const { findings } of state.parts) {
    for (const { what, count, lost = 0, repeated = 0, wrong: bad = 0, worstStallMs = 0 } of findings) {
      const row = rows.get(what) ?? { what, count: 0, lost: 0, repeated: 0, wrong: 0, worstStallMs: 0 }
      row.count += count
      row.lost += lost
      row.repeated += repeated
      row.wrong += bad
      row.worstStallMs = Math.max(row.worstStallMs, worstStallMs)
      rows.set(what, row)
    }
  }
  const poisoned = state.parts.flatMap(({ findings }) => findings.filter(({ what }) => what === 'poisoned chunks'))
  const throughput = [...new Set(poisoned.map(({ also }) => also.share))].map((share) => {
    const some = poisoned.filter(({ also }) => also.share === share)
    const sum = some.reduce((all, { also }) => all + also.throughputOfClean, 0)
    return { share, ofClean: Number((sum / some.length).toFixed(2)) }
  })
  const failed = state.parts.filter((part) => !part.passed).map(({ group, share, seed }) => ({ group, share, seed }))
  const whole = {
    date: new Date().toISOString(),
    commit: spawnSync('git', ['describe', '--always', '--dirty'], { cwd: root, encoding: 'utf8' }).stdout.trim(),
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`,
    seeds: [firstSeed, firstSeed + shares - 1],
    partsDone: state.parts.length,
    failed,
    rows: [...rows.values()],
    throughput,
    soak: state.parts
      .flatMap(({ findings }) => findings.filter(({ what }) => what === 'soak minutes'))
      .map(({ also }) => also),
  }
  writeFileSync(reportPath, `${JSON.stringify(whole, undefined, 2)}\n`)
  const cells = ['what', 'count', 'lost', 'repeated', 'wrong', 'worst stall, ms']
  const table = [cells, ...whole.rows.map((row) => Object.values(row).map(String))]
  const widths = cells.map((_, column) => Math.max(...table.map((line) => line[column].length)))
  for (const line of table)
    console.log(line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
  for (const { share, ofClean } of throughput)
    console.log(`poisoned to ${share * 100} %: ${ofClean} of the clean throughput`)
  for (const { streams, mostMiBAnHour, mostGrowthMiB } of whole.soak)
    console.log(`soak: ${streams} streams, memory ${mostMiBAnHour} MiB an hour, grown by ${mostGrowthMiB} MiB`)
  console.log(`${failed.length} parts failed; the report is ${reportPath}`)
}
