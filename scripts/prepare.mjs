// Run by npm when the package is installed from git or packed. `npm ci --ignore-scripts` does not call it.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { build, checkNode, root } from './setup.mjs'

checkNode()
if (existsSync(join(root, 'node_modules/typescript'))) build()
