import { expect } from 'chai'
import { type FileLook, settledMs, WatchedFolder } from '../../lib/publisher/watched-folder.ts'

const look = (file: string, sizeBytes = 10, modifiedMs = 1): FileLook => ({ file, sizeBytes, modifiedMs })

describe('a watched folder', () => {
  const dueOf = (folder: WatchedFolder, looks: FileLook[], now: number) =>
    folder.look(looks, now).map((due) => due.file)

  it('has a file due once it looked the same for long enough, and not again', () => {
    const folder = new WatchedFolder()
    expect(dueOf(folder, [look('a')], 0)).to.deep.equal([])
    expect(dueOf(folder, [look('a')], settledMs - 1)).to.deep.equal([])
    expect(dueOf(folder, [look('a')], settledMs)).to.deep.equal(['a'])
    expect(dueOf(folder, [look('a')], settledMs + 1), 'until it is dealt with').to.deep.equal(['a'])
    folder.done(look('a'))
    expect(dueOf(folder, [look('a')], 10 * settledMs)).to.deep.equal([])
  })

  it('waits while a file grows, and passes over an empty one', () => {
    const folder = new WatchedFolder()
    for (let i = 0; i < 10; i++)
      expect(dueOf(folder, [look('a', 10 + i), look('b', 0)], i * (settledMs - 1))).to.deep.equal([])
    expect(dueOf(folder, [look('a', 19), look('b', 0)], 9 * (settledMs - 1) + settledMs)).to.deep.equal(['a'])
  })

  it('has a file due anew when it changed, also when it keeps its size, or went and came back', () => {
    const folder = new WatchedFolder()
    let now = 0
    const settle = (looks: FileLook[]) => {
      dueOf(folder, looks, now)
      now += settledMs
      const due = dueOf(folder, looks, now)
      for (const one of looks) folder.done(one)
      return due
    }
    expect(settle([look('a')])).to.deep.equal(['a'])
    expect(settle([look('a', 10, 2)])).to.deep.equal(['a'])
    expect(settle([]), 'a file that is gone stays published').to.deep.equal([])
    expect(settle([look('a', 10, 2)])).to.deep.equal(['a'])
  })

  it('does not take a file for dealt with that changed meanwhile', () => {
    const folder = new WatchedFolder()
    folder.look([look('a')], 0)
    const [due] = folder.look([look('a')], settledMs)
    folder.look([look('a', 11)], settledMs + 1)
    if (due) folder.done(due)
    expect(dueOf(folder, [look('a', 11)], 3 * settledMs)).to.deep.equal(['a'])
  })

  it('tries a file later that could not be published, and goes on with the others, in order', () => {
    const folder = new WatchedFolder()
    const all = [look('b'), look('a')]
    folder.look(all, 0)
    expect(dueOf(folder, all, settledMs)).to.deep.equal(['a', 'b'])
    folder.later(look('a'), 50_000)
    expect(dueOf(folder, all, settledMs)).to.deep.equal(['b'])
    expect(dueOf(folder, all, 50_000)).to.deep.equal(['a', 'b'])
  })
})
