import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect } from 'chai'

const lib = resolve(import.meta.dirname, '../../lib')

/** Folders of lib/, lowest first: a folder imports from itself and from those before it. */
const layers = [
  'base',
  'stream',
  'zerorpc',
  'store',
  'media',
  'network',
  'transfer',
  'live',
  'coordinator',
  'node',
  'streamer',
  'publisher',
  'transcode',
  'gateway',
  'simulation',
  'doctor',
  'cli',
]
/** Roles talk over the wire. */
const roles = ['node', 'coordinator', 'streamer', 'gateway', 'transcode', 'publisher']
const withoutIo = ['base', 'stream']
const ioModules = /^node:(fs|net|http|https|dgram|dns|child_process|tls|cluster)/

interface Source {
  path: string
  folder: string
  imports: string[]
  text: string
}

function sourcesIn(folder: string): Source[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) return sourcesIn(path)
    if (!name.endsWith('.ts')) return []
    const text = readFileSync(path, 'utf8')
    const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '')
    return [{ path, folder: relative(lib, path).split('/')[0] ?? '', imports, text }]
  })
}

const sources = sourcesIn(lib)
const target = (source: Source, specifier: string) => resolve(dirname(source.path), specifier)
const folderOf = (path: string) => relative(lib, path).split('/')[0] ?? ''
const inner = (source: Source) =>
  source.imports.filter((specifier) => specifier.startsWith('.')).map((specifier) => target(source, specifier))

describe('the layers of lib/', () => {
  it('are seen by this test', () => {
    expect(sources.length).to.be.above(50)
    expect(sources.flatMap(inner).length).to.be.above(150)
  })

  it('are known, each folder one', () => {
    expect(
      [...new Set(sources.map((source) => source.folder))].filter((folder) => !layers.includes(folder)),
    ).to.deep.equal([])
  })

  it('import only downward', () => {
    const upward = sources.flatMap((source) =>
      inner(source)
        .filter((path) => layers.indexOf(folderOf(path)) > layers.indexOf(source.folder))
        .map((path) => `${relative(lib, source.path)} imports ${relative(lib, path)}`),
    )
    expect(upward).to.deep.equal([])
  })

  it('keep roles apart', () => {
    const across = sources.flatMap((source) =>
      inner(source)
        .filter(
          (path) => roles.includes(source.folder) && roles.includes(folderOf(path)) && folderOf(path) !== source.folder,
        )
        .map((path) => `${relative(lib, source.path)} imports ${relative(lib, path)}`),
    )
    expect(across).to.deep.equal([])
  })

  it('keep zerorpc free of video: it imports only from base', () => {
    const foreign = sources
      .filter((source) => source.folder === 'zerorpc')
      .flatMap((source) => inner(source).filter((path) => !['zerorpc', 'base'].includes(folderOf(path))))
    expect(foreign).to.deep.equal([])
  })

  it('do no I/O in base and stream', () => {
    const io = sources
      .filter((source) => withoutIo.includes(source.folder))
      .flatMap((source) => source.imports.filter((name) => ioModules.test(name)))
    expect(io).to.deep.equal([])
  })

  it('have no circle between files', () => {
    const edges = new Map(sources.map((source) => [source.path, runtimeImports(source)]))
    const done = new Set<string>()
    const visit = (path: string, trail: string[]): void => {
      if (trail.includes(path))
        throw new Error(
          `circle: ${[...trail.slice(trail.indexOf(path)), path].map((one) => relative(lib, one)).join(' -> ')}`,
        )
      if (done.has(path)) return
      for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
      done.add(path)
    }
    for (const path of edges.keys()) visit(path, [])
    expect(done.size).to.be.above(50)
  })

  it('name fluent-ffmpeg in one file', () => {
    const naming = sources
      .filter((source) => source.imports.includes('fluent-ffmpeg'))
      .map((source) => relative(lib, source.path))
    expect(naming).to.deep.equal(['media/ffmpeg.ts'])
  })

  it('take real time and chance from the clock alone', () => {
    const real = sources
      .filter((source) => /Date\.now\(|Math\.random\(|[^.\w]setTimeout\(|[^.\w]setInterval\(/.test(source.text))
      .map((source) => relative(lib, source.path))
    expect(real).to.deep.equal(['base/clock.ts'])
  })
})

/** What a file needs when it runs: types are gone by then. */
function runtimeImports(source: Source): string[] {
  const specifiers = [...source.text.matchAll(/(?:^|\n)(?:import|export)\s+(?!type\b)[^;']*?from\s+'(\.[^']+)'/g)].map(
    (match) => match[1] ?? '',
  )
  return specifiers.map((specifier) => target(source, specifier))
}
