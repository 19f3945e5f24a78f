/**
 * Run as a process of its own with the folder of an index: lets LevelDB make what it can of it. LevelDB ends its whole process with an
 * assertion at some damages, which must not be that of a node.
 */
import { ClassicLevel } from 'classic-level'

const [, , location = ''] = process.argv
await ClassicLevel.repair(location)
