// Mocha's own report for people, and the counts in a file for scripts/test.mjs.
const { writeFileSync } = require('node:fs')
const { reporters, Runner } = require('mocha')

class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats
      writeFileSync(options.reporterOption.file, JSON.stringify({ passed: passes, failed: failures, skipped: pending }))
    })
  }
}

module.exports = CountingReporter
