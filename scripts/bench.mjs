// `npm run bench`: installs what is missing, then measures; `npm run bench -- --quick` measures less. docs/performance.md tells more.
import { spawn } from 'node:child_process'
import { build, checkNode, installPackages, installPrograms, root } from './setup.mjs'

const asked = process.argv.slice(2)
const wrong = asked.filter((name) => name !== '--quick')
if (wrong.length > 0) {
  process.stderr.write(`expected --quick or nothing, got ${wrong.join(', ')}\n`)
  process.exit(2)
}

checkNode()
installPackages()
// A peer that is missing is left out and named in the results.
installPackages('bench', { isOptional: true })
for (const name of ['nginx', 'curl', 'iperf3']) installPrograms([name], { isOptional: true })
build()
const bench = spawn(process.execPath, ['--import', 'tsx', 'bench/run.ts', ...asked], { cwd: root, stdio: 'inherit' })
// The terminal sends Ctrl-C to both; a signal for this process alone is passed on.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => bench.kill('SIGTERM'))
bench.on('close', (code) => process.exit(code ?? 1))
