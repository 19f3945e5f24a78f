import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import yargs from 'yargs'
import { Failure } from '../../lib/base/errors.ts'
import { type NodeArguments, roleOf } from '../../lib/cli/node.ts'
import { fromEnvironment, type OptionName, withOptions } from '../../lib/cli/options.ts'
import { parseFrom } from '../../lib/cli/stream.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'

const names: OptionName[] = ['name', 'port', 'supermaster', 'json', 'chunk', 'filename', 'log']

interface Given {
  flags?: string[]
  environment?: Record<string, string>
  file?: string
  defaults?: Partial<Record<OptionName, string>>
}

/** The options that a command sees. */
async function parsed({ flags = [], environment = {}, file, defaults }: Given): Promise<Record<string, unknown>> {
  const args = file === undefined ? flags : [...flags, '--config', await configFile(file)]
  const kept = { ...process.env }
  Object.assign(process.env, environment)
  try {
    const parser = yargs(args)
      .strict()
      .exitProcess(false)
      .fail((message, error) => {
        throw error ?? new Error(message)
      })
    return await withOptions(parser, { options: names, defaults }).parseAsync()
  } finally {
    process.env = kept
  }
}

async function configFile(text: string): Promise<string> {
  const path = join(await makeFolder(), 'node.yaml')
  await writeFile(path, text)
  return path
}

async function errorOf(given: Given): Promise<Error> {
  try {
    await parsed(given)
  } catch (error) {
    return error as Error
  }
  throw new Error('expected an error, but it succeeded')
}

describe('the options of a command', () => {
  afterEach(removeFolders)

  const flags = ['--port', '1']
  const environment = { PEERSTREAMER_PORT: '2' }
  const file = 'port: 3'
  for (const [what, given, port] of [
    ['the flag before all', { flags, environment, file }, 1],
    ['the flag before the environment', { flags, environment }, 1],
    ['the flag before the file', { flags, file }, 1],
    ['the environment before the file', { environment, file }, 2],
    ['the environment before the default', { environment }, 2],
    ['the file before the default', { file }, 3],
    ['the default when nothing is said', {}, 7999],
  ] as [string, Given, number][]) {
    it(`take ${what}`, async () => expect((await parsed(given)).port).to.equal(port))
  }

  it('take a short flag before the environment too', async () => {
    const short = { flags: ['-c', '5k'], environment: { PEERSTREAMER_CHUNK: '6k' }, file: 'chunk: 7k' }
    expect((await parsed(short)).chunk).to.equal('5k')
  })

  it('take a list as a whole from one place', async () => {
    const list = { environment: { PEERSTREAMER_SUPERMASTER: 'b' }, file: 'supermaster: [c, d]' }
    expect((await parsed({ ...list, flags: ['--supermaster', 'a'] })).supermaster).to.deep.equal(['a'])
    expect((await parsed(list)).supermaster).to.deep.equal(['b'])
    expect((await parsed({ file: list.file })).supermaster).to.deep.equal(['c', 'd'])
  })

  it('take a switch from all places, and let a flag turn it off', async () => {
    expect((await parsed({ file: 'json: true' })).json).to.equal(true)
    const on = { environment: { PEERSTREAMER_JSON: 'true' } }
    expect((await parsed(on)).json).to.equal(true)
    expect((await parsed({ ...on, flags: ['--no-json'] })).json).to.equal(false)
  })

  it("take a command's own default before that of the table", async () => {
    const defaults = { log: 'error' }
    expect((await parsed({ defaults })).log).to.equal('error')
    expect((await parsed({ defaults, environment: { PEERSTREAMER_LOG: 'debug' } })).log).to.equal('debug')
  })

  it('leave digits in a name alone', async () => {
    expect((await parsed({ environment: { PEERSTREAMER_NAME: '007' } })).name).to.equal('007')
    expect((await parsed({ flags: ['--name', '1e3'] })).name).to.equal('1e3')
  })

  it('take a number in the file as text where text is wanted', async () => {
    expect(await parsed({ file: 'name: 12\nchunk: 4096' })).to.include({ name: '12', chunk: '4096' })
  })

  it('take an empty file for one that says nothing', async () => {
    expect(await parsed({ file: '' })).to.include({ port: 7999, chunk: '1m' })
  })

  it('take from the environment only what the command knows', () => {
    const found = fromEnvironment(['port'], { PEERSTREAMER_PORT: '1', PEERSTREAMER_NAME: 'a', PORT: '2' })
    expect(found).to.deep.equal({ port: 1 })
  })
})

describe('a wrong option', () => {
  afterEach(removeFolders)

  for (const [what, given, wanted] of [
    ['that nobody knows is named', { flags: ['--bogus'] }, /bogus/],
    ['without its value is named', { flags: ['--port'] }, /Not enough arguments following: port/],
    ['that is no choice comes with the choices', { flags: ['--log', 'loud'] }, /"loud".*"error", "warn", "info"/],
    ['in the environment is checked as well', { environment: { PEERSTREAMER_LOG: 'loud' } }, /"loud"/],
    ['in the file is checked as well', { file: 'log: loud' }, /"loud"/],
    ['in the file that nobody knows comes with those known', { file: 'prot: 1' }, /unknown option "prot".*name, port/],
    ['file that is a list comes with an example', { file: '- port' }, /such as "port: 8001"/],
    ['file that is not there is named', { flags: ['--config', '/nowhere/a.yaml'] }, /read \/nowhere\/a.yaml: ENOENT/],
  ] as [string, Given, RegExp][]) {
    it(what, async () => expect((await errorOf(given)).message).to.match(wanted))
  }

  it('file is told by its code', async () => {
    expect(await errorOf({ file: 'prot: 1' }))
      .to.be.instanceOf(Failure)
      .and.to.include({ code: 'bad-config' })
  })

  it('file that is no YAML comes with the line', async () => {
    expect((await errorOf({ file: 'port: 1\nname: [' })).message).to.match(/line 2/)
  })
})

describe('the role of a node', () => {
  const rest = { ip: '127.0.0.1', port: 0, capacity: '10g', log: 'info', publishers: 'any' } as const
  const master = 'tcp://127.0.0.1:7999'
  const chunkdirectory = 'chunks'

  it('is a source or a relay', () => {
    expect(roleOf({ ...rest, videodatabase: 'films' })).to.deep.equal({
      source: { videoDatabase: 'films', publishers: 'any' },
    })
    const role = roleOf({ ...rest, chunkdirectory, master, supermaster: ['tcp://127.0.0.1:8000'], capacity: '1k' })
    if (!('relay' in role)) throw new Error('no relay')
    expect(role.relay).to.include({ chunkDirectory: chunkdirectory, capacityBytes: 1024 })
    expect(role.relay.masters).to.have.length(2)
  })

  for (const [what, given, wanted] of [
    ['is not both', { videodatabase: 'films', chunkdirectory, master }, /not both/],
    ['is not neither', {}, /say what the node is/],
    ['is no relay without a folder', { master }, /needs --chunkdirectory/],
    ['is no relay without a master', { chunkdirectory }, /needs --master/],
    ['is no relay under a master without a port', { chunkdirectory, master: 'localhost' }, /--master/],
    ['is no relay with a capacity of a guess', { chunkdirectory, master, capacity: 'lots' }, /--capacity.*"lots"/],
  ] as [string, Partial<NodeArguments>, RegExp][]) {
    it(what, () =>
      expect(() => roleOf({ ...rest, ...given }))
        .to.throw(Failure, wanted)
        .with.property('code', 'bad-argument'),
    )
  }
})

describe('the beginning that --from names', () => {
  it('is a chunk or a time', () => {
    expect(parseFrom('12')).to.deep.equal({ index: 12 })
    const times = { '90s': 90_000, '500ms': 500, '1:30': 90_000, '0:01:30.5': 90_500, '10:00:00': 36_000_000 }
    for (const [text, timeMs] of Object.entries(times)) expect(parseFrom(text), text).to.deep.equal({ timeMs })
  })

  it('is refused otherwise', () => {
    for (const text of ['', 'start', '-1', '1.5', '1:2:3:4', '1:', '90m'])
      expect(() => parseFrom(text), text).to.throw(Failure, /--from/)
  })
})
