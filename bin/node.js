#!/usr/bin/env node
import { node } from '../dist/cli/peerstreamer.js'

await node()
