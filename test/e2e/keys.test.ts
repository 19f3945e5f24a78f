import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { publishBytes, sha256 } from '../support/network.ts'
import { TestPrograms } from '../support/programs.ts'
import { run } from '../support/run.ts'

describe('keys at the command line', function () {
  this.timeout(60_000)
  const programs = new TestPrograms()
  let folder = ''
  beforeEach(async () => {
    folder = await makeFolder()
  })
  afterEach(async () => {
    await programs.close()
    await removeFolders()
  })

  async function keygen(name: string): Promise<{ file: string; publicKey: string }> {
    const file = join(folder, `${name}.key`)
    const { code, stdout } = await run('peerstreamer', ['keygen', '--keyfile', file, '--json'])
    expect(code).to.equal(0)
    return { file, publicKey: JSON.parse(stdout.toString()).publicKey }
  }

  it('are made once, for the owner alone, and never overwritten', async () => {
    const { file, publicKey } = await keygen('mit')
    expect((await stat(file)).mode & 0o777).to.equal(0o600)
    const before = await readFile(file, 'utf8')
    const again = await run('peerstreamer', ['keygen', '--keyfile', file])
    expect(again.code).to.equal(4)
    expect(again.stderr).to.match(/never overwritten/)
    expect(await readFile(file, 'utf8')).to.equal(before)
    const told = await run('peerstreamer', [
      ...['keygen', '--keyfile', join(folder, 'anna.key'), '--signingkey', join(folder, 'anna.signing.key')],
    ])
    expect(told.stdout.toString())
      .to.match(/^[\w-]{43} relay anna$/m)
      .and.to.match(/signs streams/)
    expect((await stat(join(folder, 'anna.signing.key'))).mode & 0o777).to.equal(0o600)
    expect(publicKey).to.match(/^[\w-]{43}$/)
  })

  it('let in whom the list names, and nobody else', async () => {
    const names = ['source', 'mit', 'anna', 'stranger']
    const [source, mit, anna, stranger] = await Promise.all(names.map(keygen))
    if (!source || !mit || !anna || !stranger) throw new Error('no keys')
    const allow = join(folder, 'allow')
    await writeFile(allow, `${source.publicKey} source\n${mit.publicKey} relay mit\n${anna.publicKey} viewer Anna\n`)
    const film = await publishBytes(join(folder, 'data'), 'film', { count: 20, sizeBytes: 50_000 })
    const root = await programs.node('source', [
      '--videodatabase',
      join(folder, 'data'),
      '--keyfile',
      source.file,
      '--allow',
      allow,
    ])
    expect(root.address).to.match(new RegExp(`^tcp://${source.publicKey}@127.0.0.1:\\d+$`))
    const plain = root.address.replace(`${source.publicKey}@`, '')
    const relay = await programs.node('mit', [
      ...['--chunkdirectory', join(folder, 'chunks'), '--keyfile', mit.file, '--allow', allow],
      ...['--master', plain, '--master-key', source.publicKey],
    ])
    const streamed = await run('video_streamer.js', ['--source', relay.address, '-f', 'film', '--keyfile', anna.file])
    expect(streamed.stderr).to.equal('')
    expect(sha256(streamed.stdout)).to.equal(film.sha256)
    const stats = await run('peerstreamer', ['stats', relay.address, '--json', '--keyfile', anna.file])
    expect(JSON.parse(stats.stdout.toString())).to.include({ admission: 'keys' })

    const refused = await run('video_streamer.js', [
      '--source',
      relay.address,
      '-f',
      'film',
      '--keyfile',
      stranger.file,
    ])
    expect(refused.code, refused.stderr).to.equal(16)
    expect(refused.stderr).to.include(stranger.publicKey).and.to.include('--allow')
    expect(refused.stdout.length).to.equal(0)
    const listed = await run('peerstreamer', ['list', relay.address, '--keyfile', stranger.file])
    expect(listed.code).to.equal(16)
  })

  it('are refused when others may read them, or when they are half given', async () => {
    const { file } = await keygen('open')
    const allow = join(folder, 'allow')
    await writeFile(allow, '* viewer\n')
    const data = join(folder, 'data')
    await publishBytes(data, 'film', { count: 1, sizeBytes: 1000 })
    const start = (...args: string[]) => run('node.js', ['--port', '0', '--videodatabase', data, ...args])
    expect((await start('--keyfile', file)).stderr).to.match(/--keyfile needs --allow/)
    expect((await start('--allow', allow)).stderr).to.match(/--allow needs --keyfile/)
    expect((await start('--keyfile', join(folder, 'missing'), '--allow', allow)).stderr).to.match(/peerstreamer keygen/)
    await writeFile(join(folder, 'loose.key'), await readFile(file), { mode: 0o644 })
    const loose = await start('--keyfile', join(folder, 'loose.key'), '--allow', allow)
    expect(loose.stderr).to.match(/chmod 600/)
    expect(loose.code).to.equal(2)
    const relay = [
      '--name',
      'mit',
      '--port',
      '0',
      '--chunkdirectory',
      join(folder, 'chunks'),
      '--keyfile',
      file,
      '--allow',
      'missing',
    ]
    const dashed = await run('node.js', [
      ...relay,
      '--master',
      'tcp://127.0.0.1:1',
      '--master-key',
      `-h${'A'.repeat(41)}`,
    ])
    expect(dashed.stderr, 'a key may begin with a dash').to.match(/cannot read the list of --allow/)
  })
})
