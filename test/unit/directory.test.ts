import { expect } from 'chai'
import { limits } from '../../lib/base/limits.ts'
import { Directory } from '../../lib/network/directory.ts'

const stream = 'abc/1'
const run = { first: 0, count: 4 }
const nobody = new Set<string>()

function directoryOf(...ids: string[]): Directory {
  const directory = new Directory()
  for (const id of ids) {
    directory.join(id, `tcp://${id}:1`)
    directory.answered(id)
  }
  return directory
}

describe('the directory of a master', () => {
  it('hands a run out once: the first asker takes it from the master, the others from siblings', () => {
    const directory = directoryOf('a', 'b', 'c')
    expect(directory.assign(stream, run, 'a', 0, nobody)).to.deep.equal([])
    expect(directory.assign(stream, run, 'b', 0, nobody)).to.deep.equal(['tcp://a:1'])
    expect(directory.assign(stream, run, 'c', 0, nobody)[0]).to.be.oneOf(['tcp://a:1', 'tcp://b:1'])
  })

  it('never sends a child to one that was handed the run after it, so that nobody waits in a circle', () => {
    const directory = directoryOf('a', 'b')
    directory.assign(stream, run, 'a', 0, nobody)
    directory.assign(stream, run, 'b', 0, nobody)
    expect(directory.assign(stream, run, 'a', 1, nobody)).to.deep.equal([])
  })

  it('spreads waiting children over those that receive', () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const directory = directoryOf(...ids)
    const asked = new Map<string, number>()
    for (const id of ids) {
      const [first] = directory.assign(stream, run, id, 0, nobody)
      if (first) asked.set(first, (asked.get(first) ?? 0) + 1)
    }
    expect(Math.max(...asked.values())).to.be.at.most(Directory.waitersPerReceiver)
  })

  it('names a child that holds the run, least busy first', () => {
    const directory = directoryOf('a', 'b', 'c', 'd')
    directory.have('a', stream, 0, 8)
    directory.have('b', stream, 0, 8)
    const first = directory.assign(stream, run, 'c', 0, nobody)
    const second = directory.assign(stream, run, 'd', 0, nobody)
    expect([first[0], second[0]]).to.have.members(['tcp://a:1', 'tcp://b:1'])
  })

  it('names nobody who has not answered yet, and knows what it reported before', () => {
    const directory = new Directory()
    directory.join('a', 'tcp://a:1')
    directory.join('b', 'tcp://b:1')
    directory.have('a', stream, 0, 8)
    expect(directory.assign(stream, run, 'b', 0, nobody)).to.deep.equal([])
    directory.answered('a')
    expect(directory.assign(stream, run, 'b', 0, nobody)).to.deep.equal(['tcp://a:1'])
  })

  it('does not name whom the asker avoids', () => {
    const directory = directoryOf('a', 'b')
    directory.have('a', stream, 0, 4)
    expect(directory.assign(stream, run, 'b', 0, new Set(['tcp://a:1']))).to.deep.equal([])
  })

  it('forgets a promise that was not kept in time', () => {
    const directory = directoryOf('a', 'b')
    directory.assign(stream, run, 'a', 0, nobody)
    expect(directory.assign(stream, run, 'b', limits.fetchMs, nobody)).to.deep.equal([])
  })

  it('forgets what a child held and promised when it leaves', () => {
    const directory = directoryOf('a', 'b', 'c')
    directory.have('a', stream, 0, 4)
    directory.assign(stream, { first: 4, count: 4 }, 'a', 0, nobody)
    directory.leave('a')
    expect(directory.assign(stream, run, 'b', 0, nobody)).to.deep.equal([])
    expect(directory.assign(stream, { first: 4, count: 4 }, 'b', 0, nobody)).to.deep.equal([])
  })

  it('does not name a child for what it lost', () => {
    const directory = directoryOf('a', 'b')
    directory.have('a', stream, 0, 8)
    directory.lost('a', stream, 2, 3)
    expect(directory.assign(stream, run, 'b', 0, nobody)).to.deep.equal([])
    expect(directory.assign(stream, { first: 4, count: 4 }, 'b', 0, nobody)).to.deep.equal(['tcp://a:1'])
  })
})
