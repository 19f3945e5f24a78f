import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { pause, systemClock } from '../../lib/base/clock.ts'
import { isFull, limitMs, note, seed } from '../support/figures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'
import type { Verdict } from '../support/judge.ts'
import { type Published, publishBytes } from '../support/network.ts'
import { MortalNode, TestPrograms } from '../support/programs.ts'
import { seededChance } from '../support/seeded.ts'
import { sumOf, Viewer } from '../support/viewer.ts'

/** 8 hours at full length. */
const minutes = Number(process.env.PEERSTREAMER_TEST_SOAK_MINUTES ?? 480)
/** Memory may grow by this much over the whole run, bytes: 1 MiB an hour at full length; a shorter run proves less. */
const mostGrowthBytes = 8 * 1024 * 1024
const mostNewDescriptors = 16
/** Filling caches and learning whom there is takes this share of the run; then memory is looked at. */
const warmUpShare = 0.2
const sampleMs = 5000
const relayCount = 10
/** So many of the relays come and go. */
const churningCount = 3
const viewerCount = 20
const filmCount = 8
const shape = { count: 600, sizeBytes: 64 * 1024 }

interface Sample {
  atMs: number
  memoryBytes: number
  descriptors: number
}

// Every run has no time for it.
if (isFull)
  describe(`${relayCount} relays and ${viewerCount} streamers that come and go for ${minutes} minutes (seed ${seed})`, function () {
    this.timeout(limitMs(0) + minutes * 60_000)
    const chance = seededChance(seed)
    const between = (least: number, most: number) => least + chance() * (most - least)
    const programs = new TestPrograms()
    after(async () => {
      await programs.close()
      await removeFolders()
    })

    it('take no more memory and no more descriptors in the end than when they were warm', async () => {
      const folder = await makeFolder()
      const films: Published[] = []
      for (let i = 0; i < filmCount; i++)
        films.push(await publishBytes(join(folder, 'data'), `film-${i}`, { ...shape, seed: seed + i }))
      const source = await MortalNode.start(programs, 'source', ['--videodatabase', join(folder, 'data')])
      const relays: MortalNode[] = []
      for (let i = 0; i < relayCount; i++) {
        // Two below the source, the others below these.
        const master = relays[i % 2]?.address ?? source.address
        const own = ['--chunkdirectory', join(folder, `relay-${i}`), '--capacity', '200m']
        relays.push(
          await MortalNode.start(programs, `relay-${i}`, [
            ...own,
            '--master',
            i < 2 ? source.address : master,
            '--supermaster',
            source.address,
          ]),
        )
      }
      const staying = [source, ...relays.slice(0, relayCount - churningCount)]
      const endsAt = systemClock.now() + minutes * 60_000
      const samples = new Map(staying.map((node): [MortalNode, Sample[]] => [node, []]))
      const verdicts: Verdict[] = []
      await Promise.all([
        ...Array.from({ length: viewerCount }, (_, i) => watch(i)),
        ...relays.slice(relayCount - churningCount).map(churn),
        sample(),
      ])

      const warmAt = endsAt - minutes * 60_000 * (1 - warmUpShare)
      const grown = staying.map((node) => {
        const warm = (samples.get(node) ?? []).filter(({ atMs }) => atMs >= warmAt)
        const some = Math.ceil(warm.length / 5)
        const [first, last] = [warm.slice(0, some), warm.slice(-some)]
        return {
          name: node.name,
          memoryBytes: median(last, 'memoryBytes') - median(first, 'memoryBytes'),
          descriptors: median(last, 'descriptors') - median(first, 'descriptors'),
          bytesAnHour: slope(warm) * 3_600_000,
        }
      })
      note({
        what: 'soak minutes',
        count: minutes,
        ...sumOf(verdicts),
        also: {
          streams: verdicts.length,
          mostMiBAnHour: Number((Math.max(...grown.map(({ bytesAnHour }) => bytesAnHour)) / 2 ** 20).toFixed(2)),
          mostGrowthMiB: Number((Math.max(...grown.map(({ memoryBytes }) => memoryBytes)) / 2 ** 20).toFixed(2)),
          mostNewDescriptors: Math.max(...grown.map(({ descriptors }) => descriptors)),
        },
      })
      for (const { name, memoryBytes, descriptors } of grown) {
        expect(memoryBytes, `memory of ${name}, bytes`).to.be.at.most(mostGrowthBytes)
        expect(descriptors, `descriptors of ${name}`).to.be.at.most(mostNewDescriptors)
      }

      /** One streamer after another, each of some film at some relay. */
      async function watch(viewerIndex: number): Promise<void> {
        for (let n = 0; systemClock.now() < endsAt; n++) {
          const filmIndex = Math.floor(chance() * filmCount)
          const { address } = relays[Math.floor(chance() * relayCount)] ?? source
          const own = await makeFolder()
          const viewer = new Viewer(programs, {
            address,
            film: `film-${filmIndex}`,
            folder: own,
            intervalMs: Math.round(between(20, 80)),
          })
          const film = films[filmIndex] as Published
          verdicts.push(await viewer.verdict(film, `streamer ${viewerIndex}, stream ${n}, seed ${seed}`))
          await rm(own, { recursive: true })
        }
      }

      async function churn(node: MortalNode): Promise<void> {
        while (systemClock.now() < endsAt) {
          await pause(systemClock, between(20_000, 60_000))
          if (chance() < 0.5) await node.stop()
          else await node.kill()
          await pause(systemClock, between(500, 5000))
          await node.startAgain()
        }
      }

      async function sample(): Promise<void> {
        for (; systemClock.now() < endsAt; await pause(systemClock, sampleMs)) {
          for (const [node, taken] of samples) {
            const status = readFileSync(`/proc/${node.pid}/status`, 'utf8')
            taken.push({
              atMs: systemClock.now(),
              memoryBytes: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024,
              descriptors: readdirSync(`/proc/${node.pid}/fd`).length,
            })
          }
        }
      }
    })
  })

function median(samples: Sample[], key: 'memoryBytes' | 'descriptors'): number {
  const values = samples.map((one) => one[key]).sort((a, b) => a - b)
  return values[Math.floor(values.length / 2)] ?? Number.NaN
}

/** Growth of memory by least squares, bytes a ms. */
function slope(samples: Sample[]): number {
  const mean = (of: (one: Sample) => number) => samples.reduce((sum, one) => sum + of(one), 0) / samples.length
  const [atMs, bytes] = [mean((one) => one.atMs), mean((one) => one.memoryBytes)]
  const shared = mean((one) => (one.atMs - atMs) * (one.memoryBytes - bytes))
  return shared / mean((one) => (one.atMs - atMs) ** 2)
}
