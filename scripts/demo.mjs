// `npm run demo`: installs what is missing, then runs `peerstreamer demo` with the same arguments.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { build, checkNode, installPackages, installPrograms, root } from './setup.mjs'

checkNode()
installPackages()
installPrograms(['ffmpeg'])
build()
const demo = spawn(process.execPath, [join(root, 'bin/peerstreamer'), 'demo', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
// The terminal sends Ctrl-C to both; a signal for this process alone is passed on.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => demo.kill('SIGTERM'))
demo.on('close', (code) => process.exit(code ?? 1))
