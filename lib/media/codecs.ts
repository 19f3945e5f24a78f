import { type Box, findBox } from './boxes.ts'

/** Bytes before the boxes of a sample entry: ISO/IEC 14496-12, 12.1.3 and 12.2.3. */
const videoFields = 78
const audioFields = 28

/** The RFC 6381 codec string of a sample entry, such as `avc1.64001f`; the bare type where no more is known. */
export function codecOf(entry: Box): string {
  switch (entry.type) {
    case 'avc1':
    case 'avc3': {
      const config = findBox(entry.body.subarray(videoFields), 'avcC')?.body
      return config ? `${entry.type}.${config.toString('hex', 1, 4)}` : entry.type
    }
    case 'hvc1':
    case 'hev1':
      return hevc(entry)
    case 'vp09':
      return vp9(entry)
    case 'av01':
      return av1(entry)
    case 'mp4a':
      return mpegAudio(entry)
    case 'Opus':
      return 'opus'
    case 'fLaC':
      return 'flac'
    default:
      return entry.type
  }
}

/** ISO/IEC 14496-15, annex E: profile, compatibility flags reversed, tier and level, constraints without trailing zeros. */
function hevc(entry: Box): string {
  const config = findBox(entry.body.subarray(videoFields), 'hvcC')?.body
  if (!config || config.length < 13) return entry.type
  const first = config[1] ?? 0
  const space = ['', 'A', 'B', 'C'][first >> 6] ?? ''
  let compatibility = config.readUInt32BE(2)
  let reversed = 0
  for (let i = 0; i < 32; i++) {
    reversed = (reversed * 2 + (compatibility & 1)) >>> 0
    compatibility >>>= 1
  }
  const constraints = [...config.subarray(6, 12)]
  while (constraints.length > 0 && constraints.at(-1) === 0) constraints.pop()
  const tier = first & 0x20 ? 'H' : 'L'
  const parts = [
    `${space}${first & 31}`,
    reversed.toString(16),
    `${tier}${config[12]}`,
    ...constraints.map((byte) => byte.toString(16)),
  ]
  return `${entry.type}.${parts.join('.')}`
}

/** VP Codec ISO Media File Format Binding 1.0: profile, level, bit depth. */
function vp9(entry: Box): string {
  const config = findBox(entry.body.subarray(videoFields), 'vpcC')?.body
  if (!config) return entry.type
  return `vp09.${two(config[4])}.${two(config[5])}.${two((config[6] ?? 0) >> 4)}`
}

/** AV1 Codec ISO Media File Format Binding 1.2: profile, level and tier, bit depth. */
function av1(entry: Box): string {
  const config = findBox(entry.body.subarray(videoFields), 'av1C')?.body
  if (!config) return entry.type
  const [, second = 0, third = 0] = config
  const depth = third & 0x40 ? (third & 0x20 ? 12 : 10) : 8
  return `av01.${second >> 5}.${two(second & 31)}${third & 0x80 ? 'H' : 'M'}.${two(depth)}`
}

/** ISO/IEC 14496-1, 7.2.6: the object type is in the decoder config descriptor of esds, the AAC type in what is specific to it. */
function mpegAudio(entry: Box): string {
  const esds = findBox(entry.body.subarray(audioFields), 'esds')?.body
  const config = esds && descriptorBody(esds.subarray(4), 3, 3, 4)
  if (!config || config.length < 13) return 'mp4a'
  const objectType = (config[0] ?? 0).toString(16).padStart(2, '0')
  if (objectType !== '40') return `mp4a.${objectType}`
  const specific = descriptorBody(config.subarray(13), 5)
  const [first = 0, second = 0] = specific ?? []
  const type = first >> 3 === 31 ? 32 + ((first & 7) << 3) + (second >> 5) : first >> 3
  return `mp4a.40.${type || 2}`
}

/** The body of the descriptor with `tag`; `skip` and `inner` go one level down: so many bytes, then that tag. */
function descriptorBody(bytes: Buffer, tag: number, skip?: number, inner?: number): Buffer | undefined {
  if (bytes[0] !== tag) return undefined
  let at = 1
  let length = 0
  for (let more = true; more && at < 5; at++) {
    const byte = bytes[at] ?? 0
    length = length * 128 + (byte & 127)
    more = (byte & 128) !== 0
  }
  const body = bytes.subarray(at, at + length)
  return skip === undefined || inner === undefined ? body : descriptorBody(body.subarray(skip), inner)
}

function two(value: number | undefined): string {
  return String(value ?? 0).padStart(2, '0')
}
