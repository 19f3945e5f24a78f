import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { errorCodes } from '../../lib/base/errors.ts'
import { limitTable } from '../../lib/base/limits.ts'
import { argumentSchemas, methodDocs } from '../../lib/network/contract.ts'

describe('the documents say what the code does:', () => {
  it('docs/limits.md has every limit with its value', () => {
    const wanted = Object.entries(limitTable).map(
      ([name, { value, unit, means, memory }]) => `| \`${name}\` | ${shown(value)} | ${unit} | ${means} | ${memory} |`,
    )
    expect(tableOf('limits.md')).to.deep.equal(wanted)
  })

  it('docs/errors.md has every code with its exit code', () => {
    const wanted = Object.entries(errorCodes).map(([code, { exit, means }]) => `| \`${code}\` | ${exit} | ${means} |`)
    expect(tableOf('errors.md')).to.deep.equal(wanted)
  })

  it('docs/protocol.md has every method with its arguments', () => {
    const wanted = Object.entries(methodDocs).map(
      ([name, { doc, args }]) => `| \`${name}(${args.join(', ')})\` | ${doc} |`,
    )
    expect(Object.keys(argumentSchemas)).to.deep.equal(Object.keys(methodDocs))
    expect(tableOf('protocol.md').filter((line) => line.startsWith('| `'))).to.include.members(wanted)
  })

  it('the README names files that exist', () => {
    const text = read('../README.md')
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = '']) => path)
    expect(links).to.not.have.length(0)
    for (const path of links) expect(() => readFileSync(new URL(`../../${path}`, import.meta.url)), path).to.not.throw()
  })
})

function shown(value: number): string {
  return value.toLocaleString('en-US')
}

/** The rows of all tables in a document, without their heads. */
function tableOf(name: string): string[] {
  return read(name)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
}

function read(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')
}
