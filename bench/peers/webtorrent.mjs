// `webtorrent.mjs check`, `webtorrent.mjs seeder FILE TORRENT`, `webtorrent.mjs leecher`.
import { readFileSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { createInterface } from 'node:readline'

// Direct peers speak TCP; the native part of WebRTC is not installed (no install scripts), so a stub stands for it.
register('./without-webrtc.mjs', import.meta.url)
const { default: WebTorrent } = await import('webtorrent')

const [, , role, ...args] = process.argv
const now = () => performance.timeOrigin + performance.now()
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const makeClient = () => {
  const client = new WebTorrent({
    ...{ dht: false, tracker: false, lsd: false, webSeeds: false, utPex: false },
    ...{ utp: false, natUpnp: false, natPmp: false },
  })
  client.on('error', fail)
  return client
}

function fail(error) {
  process.stderr.write(`${error?.stack ?? error}\n`)
  process.exit(1)
}

if (role === 'seeder') {
  const [file, path] = args
  const client = makeClient()
  client.seed(file, { announceList: [], pieceLength: 1024 * 1024 }, (torrent) => {
    writeFileSync(path, torrent.torrentFile)
    print({ port: client.torrentPort })
  })
} else if (role === 'leecher') {
  const client = makeClient()
  client.on('listening', () => print('up'))
  if (client.listening) print('up')
  createInterface({ input: process.stdin }).once('line', (line) => {
    const { torrent: path, folder, peer } = JSON.parse(line)
    const startedAt = now()
    const torrent = client.add(readFileSync(path), { path: folder, announce: [] })
    torrent.on('error', fail)
    torrent.on('infoHash', () => torrent.addPeer(peer))
    torrent.on('done', () => print({ startedAt, endedAt: now(), bytes: torrent.length, chunkMs: [] }))
  })
} else {
  print('can run')
  process.exit(0)
}
// Nobody is left who wants it.
process.stdin.on('end', () => process.exit(0)).resume()
