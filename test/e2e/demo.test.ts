import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { expect } from 'chai'
import { run } from '../support/run.ts'
import { until } from '../support/until.ts'

describe('the demo', function () {
  this.timeout(90_000)

  it('carries a film through six relays to four screens, each copy right, and cleans up', async () => {
    const before = await leftovers()
    const { code, stdout, stderr } = await run('peerstreamer', ['demo', '--json'])
    expect(stderr).to.include('all four outputs equal the published film')
    expect(code).to.equal(0)
    const { copies, mediaBytes, nodes } = JSON.parse(stdout.toString())
    // The head of the file travels in the descriptor, so that one copy is a little less.
    expect(copies).to.be.within(0.999, 1.1)
    expect(mediaBytes).to.be.at.least(30_000_000)
    const screens = nodes.filter((node: { bytesSent: number; children: unknown[] }) => node.children.length === 0)
    expect(nodes).to.have.length(7)
    expect(screens).to.have.length(4)
    expect(await leftovers()).to.deep.equal(before)
  })

  it('cleans up after Ctrl-C', async () => {
    const before = await leftovers()
    const { code } = await run('peerstreamer', ['demo'], {
      meanwhile: async ({ signal }) => {
        await until('its folder', leftovers, (names) => names.length > before.length, 20_000)
        signal('SIGINT')
      },
    })
    expect(code).to.equal(130)
    expect(await leftovers()).to.deep.equal(before)
  })
})

async function leftovers(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith('peerstreamer-demo')).sort()
}
