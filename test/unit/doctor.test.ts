import { readFileSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { Failure } from '../../lib/base/errors.ts'
import { VirtualClock } from '../../lib/base/virtual-clock.ts'
import { showFindings } from '../../lib/cli/doctor.ts'
import { judgeClock, judgeMasterClock } from '../../lib/doctor/clock.ts'
import {
  checkChunkDirectory,
  checkVideoDatabase,
  type DirectorySeen,
  judgeChunkDirectory,
  judgeVideoDatabase,
} from '../../lib/doctor/directories.ts'
import { type Finding, fail, ok, warn } from '../../lib/doctor/finding.ts'
import {
  checkAllowFile,
  checkKeyFile,
  checkSigningKey,
  type FileSeen,
  judgeFile,
  judgeSigningKey,
} from '../../lib/doctor/key-files.ts'
import { judgeMaster, lookAtMaster, type MasterSeen } from '../../lib/doctor/master.ts'
import { judgeOpenFiles, openFileLimit } from '../../lib/doctor/open-files.ts'
import { judgePort, tryToListen } from '../../lib/doctor/port.ts'
import { judgeFfmpeg, judgeNode, leastNode } from '../../lib/doctor/programs.ts'
import type { NodeStats } from '../../lib/network/contract.ts'
import type { StoreState } from '../../lib/store/store-directory.ts'
import { Signer } from '../../lib/stream/signing.ts'
import { RpcServer } from '../../lib/zerorpc/index.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import { until } from '../support/until.ts'

/** As a person reads it: level, what was found, what to do. */
function line(finding: Finding): string {
  return finding.level === 'ok' ? `ok ${finding.found}` : `${finding.level} ${finding.found}; ${finding.todo}`
}

describe('doctor judges', () => {
  it('the version of Node by what package.json asks for', () => {
    const { engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(engines.node).to.equal(`>=${leastNode}`)
    const levels = { '20.19.0': 'ok', '20.20.2': 'ok', '22.0.0': 'ok', '20.18.9': 'FAIL', '18.20.0': 'FAIL' }
    for (const [version, level] of Object.entries(levels)) expect(judgeNode(version).level, version).to.equal(level)
    expect(line(judgeNode('18.20.0'))).to.match(/Node 18.20.0, needed is 20.19 or newer; install/)
  })

  it('ffmpeg and its encoders, and says which films would fail', () => {
    const all = { ffmpeg: '6.1', ffprobe: '6.1', encoders: new Set(['libx264', 'aac']) }
    const levels = (seen: Parameters<typeof judgeFfmpeg>[0], publishes = true) =>
      judgeFfmpeg(seen, publishes).map(({ level }) => level)
    expect(levels(all)).to.deep.equal(['ok', 'ok', 'ok', 'ok'])
    expect(levels({ ...all, ffprobe: undefined })).to.deep.equal(['ok', 'FAIL', 'ok', 'ok'])
    const none = { ffmpeg: undefined, ffprobe: undefined, encoders: new Set<string>() }
    expect(levels(none)).to.deep.equal(['FAIL', 'FAIL'])
    expect(levels(none, false), 'a relay does not publish').to.deep.equal(['warn', 'warn'])
    expect(judgeFfmpeg(none, true).map(line)[0]).to.match(/^FAIL ffmpeg does not run.*; install it .*apt-get install/)
    const [, , video, audio] = judgeFfmpeg({ ...all, encoders: new Set(['libx264rgb']) }, true).map(line)
    expect(video).to.match(/^warn .*no libx264: films whose picture is not h264, hevc, vp9, av1 cannot.*; install/)
    expect(audio).to.match(/^warn .*no aac: films whose sound is not aac, mp3, .* cannot be published.*; install/)
  })

  it('the clock by the build, and by the master less what the way takes', () => {
    const builtAt = Date.UTC(2026, 0, 1)
    expect(judgeClock(builtAt, builtAt).level).to.equal('ok')
    expect(line(judgeClock(0, builtAt))).to.match(/^FAIL it is 1970-01-01T00:00:00Z .*2026-01-01.*; set the clock/)
    const table: [number | undefined, number, string, RegExp][] = [
      [10_000, 0, 'ok', /0.0 s/],
      [12_900, 0, 'ok', /2.9 s behind/],
      [13_100, 0, 'warn', /3.1 s behind .*NTP/],
      [6_900, 0, 'warn', /3.1 s ahead of .*NTP/],
      [12_900 + 500, 1000, 'ok', /2.9 s behind/],
      [9000, 8000, 'ok', /5.0 s ahead/],
      [undefined, 0, 'warn', /does not tell.*update/],
    ]
    for (const [masterMs, roundTripMs, level, text] of table) {
      const finding = judgeMasterClock({ masterMs, askedAtMs: 10_000, roundTripMs })
      expect(finding.level, String(masterMs)).to.equal(level)
      expect(line(finding)).to.match(text)
    }
  })

  it('the limit of open files', () => {
    const levels: [number | undefined, string][] = [
      [Number.POSITIVE_INFINITY, 'ok'],
      [4096, 'ok'],
      [1024, 'warn'],
      [255, 'FAIL'],
      [undefined, 'warn'],
    ]
    for (const [limit, level] of levels) expect(judgeOpenFiles(limit).level, String(limit)).to.equal(level)
    expect(line(judgeOpenFiles(1024))).to.match(/at most 1024 open files.*ulimit -n/)
    expect(openFileLimit()).to.be.greaterThan(0)
  })

  it('a port by why it cannot be listened on', () => {
    const refusal = (code: 'port-in-use' | 'bad-argument', errno: string) =>
      new Failure(code, 'no', { cause: Object.assign(new Error(), { code: errno }) })
    const table: [Failure | undefined, RegExp][] = [
      [undefined, /^ok tcp:\/\/127.0.0.1:7999 is free$/],
      [refusal('port-in-use', 'EADDRINUSE'), /^FAIL .* in use by another program; choose another --port/],
      [refusal('bad-argument', 'EACCES'), /^FAIL this user may not .*; choose a --port from 1024 on/],
      [refusal('bad-argument', 'ENODEV'), /^FAIL nobody can listen .*; give --ip/],
    ]
    for (const [seen, text] of table) expect(line(judgePort('tcp://127.0.0.1:7999', seen))).to.match(text)
    expect(line(judgePort('tcp://127.0.0.1:0', undefined))).to.match(/takes a free port/)
  })

  it('a chunk directory by its rights and by what lies in it', () => {
    const there: DirectorySeen = { state: 'there', isReadable: true, isWritable: true, freeBytes: 1 }
    const table: [DirectorySeen, StoreState | 'unknown', RegExp][] = [
      [there, 'empty', /^ok .*empty/],
      [there, 'free', /^ok .*nobody has open/],
      [there, 'in-use', /^FAIL .*in use by another process; give every relay/],
      [there, 'foreign', /^FAIL .*no chunk store; choose an empty/],
      [there, 'other-version', /^FAIL .*another version.*; choose another/],
      [there, 'no-rights', /^FAIL .*belongs to another user; .*chown -R/],
      [there, 'unknown', /^warn .*cannot be seen; make room/],
      [{ ...there, isWritable: false }, 'empty', /^FAIL .*cannot be written to; give this user rights/],
      [{ ...there, isReadable: false }, 'empty', /^FAIL .*cannot be written to; give this user rights/],
      [{ ...there, state: 'missing' }, 'empty', /^ok .*will be made/],
      [{ ...there, state: 'missing', isWritable: false }, 'empty', /^FAIL .*cannot be made; make it/],
      [{ state: 'not-a-directory' }, 'empty', /^FAIL .*not a directory; choose another/],
      [{ state: 'out-of-reach' }, 'empty', /^FAIL .*cannot be reached; choose another/],
    ]
    for (const [seen, store, text] of table) expect(line(judgeChunkDirectory('dir', seen, store))).to.match(text)
  })

  it('a video database by its rights and by what lies in it', () => {
    const there: DirectorySeen = { state: 'there', isReadable: true, isWritable: true, freeBytes: 1 }
    const film = { streams: ['film'], others: [] }
    const nothing = { streams: [], others: [] }
    const table: [DirectorySeen, { streams: string[]; others: string[] }, RegExp][] = [
      [there, film, /^ok dir holds film$/],
      [there, { streams: [...'abcdefg'], others: [] }, /^ok dir holds a, b, c, d, e and 2 more$/],
      [there, nothing, /^warn .*no stream yet; publish/],
      [there, { streams: [], others: ['x.txt'] }, /^warn .*no stream, but x.txt; publish .*--videodatabase/],
      [{ ...there, isWritable: false }, film, /^warn .*cannot be written to; to publish/],
      [{ ...there, isReadable: false }, nothing, /^FAIL .*cannot be read; give/],
      [{ ...there, state: 'missing' }, nothing, /^FAIL .*does not exist; publish/],
      [{ state: 'not-a-directory' }, nothing, /^FAIL .*not a directory; name another/],
      [{ state: 'out-of-reach' }, nothing, /^FAIL .*cannot be reached; name another/],
    ]
    for (const [seen, content, text] of table) expect(line(judgeVideoDatabase('dir', seen, content))).to.match(text)
  })

  it('the mode of files with secrets, and of lists that decide who comes in', () => {
    const mode = (bits: number): FileSeen => ({ state: 'there', mode: bits, isReadable: true })
    const table: ['secret' | 'list', FileSeen, RegExp][] = [
      ['secret', mode(0o600), /^ok k has mode 0600$/],
      ['secret', mode(0o400), /^ok/],
      ['secret', mode(0o644), /^FAIL k has mode 0644: .*secret.*; run: chmod 600 k$/],
      ['secret', mode(0o610), /^FAIL .*chmod 600 k/],
      ['secret', { ...mode(0o600), isReadable: false } as FileSeen, /^FAIL .*cannot be read.*; run as its owner/],
      ['secret', { state: 'missing' }, /^FAIL k does not exist; make one$/],
      ['secret', { state: 'not-a-file' }, /^FAIL k is no file; make one$/],
      ['secret', { state: 'out-of-reach' }, /^FAIL k cannot be reached; give/],
      ['list', mode(0o644), /^ok/],
      ['list', mode(0o664), /^FAIL k has mode 0664: .*admitted; run: chmod go-w k$/],
      ['list', { state: 'missing' }, /^FAIL k does not exist; make one$/],
    ]
    for (const [kind, seen, text] of table) expect(line(judgeFile('c', 'k', kind, seen, 'make one'))).to.match(text)
  })

  it('a signing key by what it holds, and shows the key that viewers know', () => {
    const seed = Signer.newSeed()
    const shown = new Signer(seed).publicKey.toString('base64url')
    const text = `${seed.toString('base64url')}\n`
    expect(line(judgeSigningKey('k', 'k has mode 0600', text))).to.equal(
      `ok k has mode 0600; its streams show ${shown}`,
    )
    expect(line(judgeSigningKey('k', '', text))).to.not.include(text.trim())
    for (const wrong of ['', 'x', text.slice(0, 40)])
      expect(line(judgeSigningKey('k', '', wrong))).to.match(/^FAIL k does not hold a key.*; restore it/)
  })

  it('a master by what it answers', () => {
    const node: MasterSeen = {
      state: 'node',
      name: 'mit',
      role: 'relay',
      roundTripMs: 1.25,
      clocks: { masterMs: 1000, askedAtMs: 1000, roundTripMs: 1.25 },
      streams: [
        { name: 'a', key: 'K1' },
        { name: 'b', key: 'K2' },
        { name: 'c', key: 'K1' },
      ],
    }
    const lines = (seen: MasterSeen) => judgeMaster('tcp://h:1', seen).map(line)
    expect(lines(node)).to.deep.equal([
      'ok tcp://h:1 is mit (relay) and answers in 1.3 ms',
      "ok the clock is 0.0 s ahead of the master's",
      'ok the key K1 signs a, c',
      'ok the key K2 signs b',
    ])
    expect(lines({ ...node, roundTripMs: 800 })[0]).to.match(/^warn .*taken for dead; find out/)
    expect(lines({ ...node, streams: [] })[2]).to.match(/^warn .*no stream; publish/)
    const many = Array.from({ length: 7 }, (_, i) => ({ name: `s${i}`, key: `K${i}` }))
    expect(lines({ ...node, streams: many }).slice(-1)).to.deep.equal(['ok 2 more keys; peerstreamer list shows them'])
    expect(lines({ state: 'silent' })).to.match(/^FAIL .*does not answer a ping within 2 s; start the node/)
    expect(lines({ state: 'strange', why: 'it is odd' })).to.match(/^FAIL .*answers a ping, but it is odd; check/)
  })
})

describe('doctor looks at', () => {
  afterEach(removeFolders)

  it('a master with three questions of 2 s each, and takes the time of its answer', async () => {
    const clock = new VirtualClock()
    const asked: unknown[] = []
    const streams = [{ name: 'film', key: 'K' }]
    const peer = {
      address: 'tcp://h:1',
      ping: async (withinMs: number) => asked.push(['ping', withinMs]) > 0,
      async stats(options?: { timeoutMs?: number }) {
        asked.push(['stats', options?.timeoutMs])
        await clock.advance(30)
        return { name: 'mit', role: 'relay', wallTimeMs: 15 } as NodeStats
      },
      list: async (options?: { timeoutMs?: number }) => {
        asked.push(['list', options?.timeoutMs])
        return streams as never
      },
    }
    expect(await lookAtMaster(peer, clock)).to.deep.equal({
      state: 'node',
      name: 'mit',
      role: 'relay',
      roundTripMs: 30,
      clocks: { masterMs: 15, askedAtMs: 0, roundTripMs: 30 },
      streams,
    })
    expect(asked).to.deep.equal([
      ['ping', 2000],
      ['stats', 2000],
      ['list', 2000],
    ])
    expect(await lookAtMaster({ ...peer, ping: async () => false }, clock)).to.deep.equal({ state: 'silent' })
    const late = async () => Promise.reject(new Failure('timeout', 'too late'))
    expect(await lookAtMaster({ ...peer, list: late }, clock)).to.deep.equal({ state: 'strange', why: 'too late' })
    for (const wrong of [null, 'x', {}, { name: 'x'.repeat(1000), role: 'relay' }, { name: 'x', role: 7 }]) {
      const seen = await lookAtMaster({ ...peer, stats: async () => wrong as never }, clock)
      expect(seen.state, JSON.stringify(wrong)).to.equal('strange')
    }
  })

  it('a port as a node would, and leaves it free', async () => {
    const server = new RpcServer({ methods: new Map() })
    const address = await server.bind('tcp://127.0.0.1:0')
    try {
      expect((await tryToListen(address))?.code).to.equal('port-in-use')
    } finally {
      await server.close()
    }
    // ZeroMQ frees a port some time after its socket was closed.
    for (const time of ['once', 'again'])
      await until(
        `the port, ${time}`,
        () => tryToListen(address),
        (seen) => !seen,
      )
  })

  it('a chunk directory without making it', async () => {
    const folder = await makeFolder()
    const lines = async (path: string, floorBytes = 0) => (await checkChunkDirectory(path, floorBytes)).map(line)
    await writeFile(join(folder, 'file'), '')
    const wanted: [string, RegExp][] = [
      ['new', /will be made/],
      ['new/deep', /will be made/],
      ['file', /not a directory/],
      ['file/x', /not a directory/],
      ['.', /no chunk store/],
    ]
    for (const [name, text] of wanted) expect((await lines(join(folder, name)))[0], name).to.match(text)
    await mkdir(join(folder, 'empty'))
    expect((await lines(join(folder, 'empty')))[0]).to.match(/is empty/)
    const [, space] = await lines(join(folder, 'empty'), Number.MAX_SAFE_INTEGER)
    expect(space).to.match(/^warn .* free for .*, less than the .*; make room/)
  })

  it('a video database, its streams and its key', async () => {
    const folder = await makeFolder()
    await writeFile(join(folder, '.signing.key'), 'x', { mode: 0o600 })
    const lines = (await checkVideoDatabase(folder, 0)).map(line)
    expect(lines[0]).to.match(/^warn .*no stream yet/)
    expect(lines[1]).to.match(/^FAIL .*does not hold a key/)
    expect(lines[2]).to.match(/^ok .* free for/)
    expect((await checkVideoDatabase(join(folder, 'missing'), 0)).map(line)[0]).to.match(/^FAIL .*does not exist/)
  })

  it('key files on the disk', async () => {
    const folder = await makeFolder()
    const path = join(folder, 'key')
    expect(line(await checkSigningKey(folder))).to.match(/^ok .*is made when/)
    for (const check of [checkKeyFile, checkAllowFile]) expect(line(await check(path))).to.match(/does not exist/)
    await writeFile(path, '', { mode: 0o600 })
    for (const check of [checkKeyFile, checkAllowFile]) expect((await check(path)).level).to.equal('ok')
    await chmod(path, 0o666)
    expect(line(await checkKeyFile(path))).to.match(/^FAIL .*0666.*chmod 600/)
    expect(line(await checkAllowFile(path))).to.match(/^FAIL .*0666.*chmod go-w/)
    expect(line(await checkKeyFile(folder))).to.match(/is no file/)
    expect(line(await checkKeyFile(join(path, 'x')))).to.match(/^FAIL/)
  })
})

describe('doctor shows', () => {
  it('a line for each finding, and lets nothing in it steer the terminal', () => {
    const shown = showFindings([
      ok('node', 'fine'),
      warn('clock', 'late', 'set it'),
      fail('x', 'a\u001b[2J\nb\u009b', 'y'),
    ])
    expect(shown).to.equal('ok    node   fine\nwarn  clock  late; set it\nFAIL  x      a?[2J?b?; y\n')
  })
})
