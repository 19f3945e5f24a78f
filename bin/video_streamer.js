#!/usr/bin/env node
import { videoStreamer } from '../dist/cli/peerstreamer.js'

await videoStreamer()
