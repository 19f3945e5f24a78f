import { expect } from 'chai'
import type { Probe } from '../../lib/media/ffmpeg.ts'
import { planFilm, remuxOptions } from '../../lib/media/track-plan.ts'

const video = { index: 0, codec_type: 'video', codec_name: 'h264' }
const audio = { index: 1, codec_type: 'audio', codec_name: 'aac' }
const text = { index: 2, codec_type: 'subtitle', codec_name: 'subrip' }
const cover = { index: 3, codec_type: 'video', codec_name: 'mjpeg', disposition: { attached_pic: 1 } }
const thumbnails = { index: 4, codec_type: 'video', codec_name: 'png', disposition: { timed_thumbnails: 1 } }
const size = { sizeBytes: 1024 }

function probed(streams: object[], format: object = {}): Probe {
  return { format: { format_name: 'matroska,webm', probe_score: 100, duration: 12.5, ...format }, streams } as never
}

/** Each track as `index:codec`, with what it is re-encoded to. */
function planned(streams: object[], format?: object): string[] | undefined {
  return planFilm(probed(streams, format))?.tracks.map(({ index, codec, encodeTo }) =>
    encodeTo ? `${index}:${codec} to ${encodeTo}` : `${index}:${codec}`,
  )
}

/** The value behind `option` among ffmpeg's options for a film of these streams. */
function optionAfter(
  option: string,
  streams: object[],
  limit: Parameters<typeof remuxOptions>[1] = size,
): string | undefined {
  const plan = planFilm(probed(streams))
  if (!plan) throw new Error('no film')
  const options = remuxOptions(plan, limit)
  return options.includes(option) ? options[options.indexOf(option) + 1] : undefined
}

describe('the tracks of a film', () => {
  for (const [what, streams, wanted] of [
    ['are its picture and its sound, without its texts', [video, audio, text], ['0:h264', '1:aac']],
    ['are its picture alone when it has no sound', [video], ['0:h264']],
    ['are its sound alone when it has no picture', [audio], ['1:aac']],
    ['leave out a cover that stands before the picture', [cover, { ...video, index: 5 }, audio], ['5:h264', '1:aac']],
    ['leave out thumbnails', [thumbnails, audio], ['1:aac']],
    ['leave out what ffprobe has no name for', [{ ...video, codec_name: undefined }, audio], ['1:aac']],
    ['leave out sound without a name', [video, { ...audio, codec_name: undefined }], ['0:h264']],
    ['are none when there are texts alone', [text], undefined],
    ['are none when there is a cover alone', [cover], undefined],
  ] as [string, object[], string[] | undefined][]) {
    it(what, () => expect(planned(streams)).to.deep.equal(wanted))
  }

  for (const codec of ['h264', 'hevc', 'vp9', 'av1'])
    it(`are copied when the picture is ${codec}`, () =>
      expect(planned([{ ...video, codec_name: codec }])).to.deep.equal([`0:${codec}`]))

  for (const codec of ['aac', 'mp3', 'ac3', 'eac3', 'opus', 'flac', 'alac'])
    it(`are copied when the sound is ${codec}`, () =>
      expect(planned([{ ...audio, codec_name: codec }])).to.deep.equal([`1:${codec}`]))

  it('are re-encoded where they do not fit, each by itself', () => {
    const [odd, oddSound] = [
      { ...video, codec_name: 'mpeg4' },
      { ...audio, codec_name: 'vorbis' },
    ]
    expect(planned([odd, audio])).to.deep.equal(['0:mpeg4 to h264', '1:aac'])
    expect(planned([video, oddSound])).to.deep.equal(['0:h264', '1:vorbis to aac'])
    expect(planned([odd, oddSound])).to.deep.equal(['0:mpeg4 to h264', '1:vorbis to aac'])
  })

  it('are none of what is no media, or hardly', () => {
    expect(planFilm(undefined)).to.equal(undefined)
    for (const name of ['tty', 'gif', 'image2', 'webvtt', 'png_pipe'])
      expect(planned([video], { format_name: name }), name).to.equal(undefined)
    expect(planned([video], { probe_score: 49 })).to.equal(undefined)
    expect(planned([video], { probe_score: 50 })).to.deep.equal(['0:h264'])
    expect(planned([video], { probe_score: undefined })).to.equal(undefined)
  })

  it('last as long as ffprobe says, and 0 where it does not know', () => {
    expect(planFilm(probed([video]))?.durationMs).to.equal(12_500)
    for (const duration of [undefined, 'N/A', -1])
      expect(planFilm(probed([video], { duration }))?.durationMs, String(duration)).to.equal(0)
  })
})

describe('the options for ffmpeg', () => {
  it('copy what fits, and encode what does not', () => {
    expect(optionAfter('-c:v', [video, audio])).to.equal('copy')
    expect(optionAfter('-c:a', [video, audio])).to.equal('copy')
    expect(optionAfter('-c:v', [{ ...video, codec_name: 'mpeg4' }, audio])).to.equal('libx264')
    expect(optionAfter('-c:a', [video, { ...audio, codec_name: 'vorbis' }])).to.equal('aac')
  })

  it('say nothing of a track that is not there', () => {
    expect(optionAfter('-c:a', [video])).to.equal(undefined)
    expect(optionAfter('-c:v', [audio])).to.equal(undefined)
  })

  it('name the tracks by their place in the input', () => {
    const plan = planFilm(probed([cover, { ...video, index: 5 }, { ...audio, index: 7 }]))
    const options = plan ? remuxOptions(plan, size) : []
    expect(options.filter((_, i) => options[i - 1] === '-map')).to.deep.equal(['0:5', '0:7'])
  })

  it('tag HEVC for all players, and bring AAC into the form of MP4', () => {
    expect(optionAfter('-tag:v', [{ ...video, codec_name: 'hevc' }])).to.equal('hvc1')
    expect(optionAfter('-tag:v', [video])).to.equal(undefined)
    expect(optionAfter('-bsf:a', [audio])).to.equal('aac_adtstoasc')
    expect(optionAfter('-bsf:a', [{ ...audio, codec_name: 'opus' }])).to.equal(undefined)
  })

  it('end a fragment in time, at half of a duration that is asked for', () => {
    expect(optionAfter('-frag_duration', [video, audio])).to.equal('20000000')
    expect(optionAfter('-frag_duration', [audio])).to.equal('2000000')
    expect(optionAfter('-frag_duration', [video, audio], { durationMs: 4000 })).to.equal('2000000')
    expect(optionAfter('-frag_duration', [audio], { durationMs: 1000 })).to.equal('500000')
  })
})
