import { expect } from 'chai'
import { type Attempt, type Candidate, hedgeFreeBytes, mayHedge, planFetch } from '../../lib/transfer/fetch-plan.ts'

const sibling = candidate('tcp://sibling:1', 'sibling', 100)
const master = candidate('tcp://master:1', 'master', 200)
const above = candidate('tcp://above:1', 'supermaster', 200)
const all = [sibling, master, above]

function candidate(address: string, origin: Candidate['origin'], lateAfterMs: number): Candidate {
  return { address, origin, trust: 'trusted', lateAfterMs, expectedMs: 0 }
}

function asked(candidate: Candidate, startedAt: number, underWay: boolean, isAvoided = false): Attempt {
  return { address: candidate.address, startedAt, underWay, isAvoided }
}

describe('the plan of a fetch', () => {
  it('asks the sibling first', () => {
    expect(planFetch(all, [], 0, true)).to.deep.equal({ do: 'ask', candidate: sibling, hedge: false })
  })

  it('waits while the answer is not late', () => {
    expect(planFetch(all, [asked(sibling, 0, true)], 40, true)).to.deep.equal({ do: 'wait', ms: 60 })
  })

  it('asks the master beside a sibling that is late', () => {
    expect(planFetch(all, [asked(sibling, 0, true)], 100, true)).to.deep.equal({
      do: 'ask',
      candidate: master,
      hedge: true,
    })
  })

  it('does not hedge when the extra traffic is spent', () => {
    expect(planFetch(all, [asked(sibling, 0, true)], 500, false)).to.deep.equal({ do: 'wait', ms: 3000 })
  })

  it('asks another in the place of one that was late with other runs, whatever was spent', () => {
    const plan = planFetch(all, [asked(sibling, 0, true, true)], 100, false)
    expect(plan).to.deep.equal({ do: 'ask', candidate: master, hedge: true })
  })

  it('asks nobody above a master that is only late, before the wait becomes a stall', () => {
    const late = [asked(sibling, 0, false), asked(master, 0, true)]
    expect(planFetch(all, late, 500, true)).to.deep.equal({ do: 'wait', ms: 3000 })
    expect(planFetch(all, late, 3500, true)).to.include({ do: 'ask', candidate: above })
    const failed = [asked(sibling, 0, false), asked(master, 0, false)]
    expect(planFetch(all, failed, 500, true)).to.include({ do: 'ask', candidate: above })
  })

  it('asks another one all the same before the wait becomes a stall of 5 s', () => {
    expect(planFetch(all, [asked(sibling, 0, true)], 3500, false)).to.include({ do: 'ask', candidate: master })
  })

  it('waits longer where the line above is so slow that another would not be faster', () => {
    const times = { expectedMs: 4000, lateAfterMs: 8000 }
    const [slow, slowMaster] = [
      { ...sibling, ...times },
      { ...master, ...times },
    ]
    expect(planFetch([slow, slowMaster], [asked(slow, 0, true)], 3500, false), 'the master as well').to.deep.equal({
      do: 'wait',
      ms: 4500,
    })
    expect(planFetch([slow, master], [asked(slow, 0, true)], 3500, false), 'the sibling alone').to.include({
      do: 'ask',
    })
    const other = { ...slow, address: 'tcp://other:1' as const }
    expect(planFetch([slow, other], [asked(slow, 0, true)], 3500, false), 'two siblings').to.include({ do: 'ask' })
    expect(planFetch([slowMaster, above], [asked(slowMaster, 0, true)], 3500, false)).to.include({ do: 'wait' })
    expect(planFetch([slowMaster, above], [asked(slowMaster, 0, true)], 8000, false)).to.include({ candidate: above })
  })

  it('asks no third one at the same time', () => {
    const plan = planFetch(all, [asked(sibling, 0, true), asked(master, 100, true)], 900, true)
    expect(plan.do).to.equal('wait')
  })

  it('goes on to the next at once when one fails, hedge or not', () => {
    expect(planFetch(all, [asked(sibling, 0, false)], 1, false)).to.deep.equal({
      do: 'ask',
      candidate: master,
      hedge: false,
    })
    const both = [asked(sibling, 0, false), asked(master, 1, false)]
    expect(planFetch(all, both, 2, false)).to.deep.equal({ do: 'ask', candidate: above, hedge: false })
  })

  it('fails when everybody was asked in vain', () => {
    expect(planFetch([sibling], [asked(sibling, 0, false)], 1, true)).to.deep.equal({ do: 'fail' })
    expect(planFetch([], [], 0, true)).to.deep.equal({ do: 'fail' })
  })

  it('asks one that sent wrong bytes last, and a banned one never', () => {
    const avoided: Candidate = { ...sibling, trust: 'avoided' }
    const banned: Candidate = { ...above, trust: 'banned' }
    expect(planFetch([avoided, master], [], 0, true)).to.deep.include({ candidate: master })
    expect(planFetch([avoided, master], [asked(master, 0, false)], 0, true)).to.deep.include({ candidate: avoided })
    expect(planFetch([banned], [], 0, true)).to.deep.equal({ do: 'fail' })
  })

  it('caps hedges at a share of what was received', () => {
    expect(mayHedge(hedgeFreeBytes - 1, 0)).to.equal(true)
    expect(mayHedge(hedgeFreeBytes, 0)).to.equal(false)
    expect(mayHedge(hedgeFreeBytes, 1_000_000)).to.equal(true)
  })
})
