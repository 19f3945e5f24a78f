// biome-ignore-all lint/complexity/useArrowFunction: the original reads the text of its handlers and knows only plain functions
// The ancestor's way, with the original zerorpc: a source, a relay with a level cache, a client that asks for one chunk at a
// time. `zerorpc-chain.cjs source FILE PORT`, `relay FOLDER PORT SOURCE`, `client`, `check`.
const { openSync, readSync } = require('node:fs')
const Module = require('node:module')
const resolveFilename = Module._resolveFilename
// Its zeromq 4 does not build; zeromq 6 offers the same interface.
Module._resolveFilename = function (name, ...rest) {
  const found = name === 'zeromq' || name === 'zmq' ? require.resolve('zeromq/v5-compat') : name
  return resolveFilename.call(this, found, ...rest)
}
const zerorpc = require('zerorpc')
const { Level } = require('level')

const chunkBytes = 1024 * 1024
const [, , role, ...args] = process.argv
const now = () => performance.timeOrigin + performance.now()
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

function fail(error) {
  process.stderr.write(`Error: ${error?.message ?? error}\n`)
  process.exit(1)
}

function serve(port, chunk) {
  const server = new zerorpc.Server({ chunk })
  server.on('error', fail)
  server.bind(`tcp://127.0.0.1:${port}`)
  print('up')
}

function connect(endpoint) {
  const client = new zerorpc.Client({ timeout: 60 })
  client.on('error', fail)
  client.connect(endpoint)
  return client
}

function runSource(file, port) {
  const fd = openSync(file)
  serve(port, function (index, reply) {
    const chunk = Buffer.allocUnsafe(chunkBytes)
    readSync(fd, chunk, 0, chunkBytes, index * chunkBytes)
    reply(null, chunk)
  })
}

function runRelay(folder, port, source) {
  const level = new Level(folder, { valueEncoding: 'buffer' })
  const master = connect(source)
  serve(port, function (index, reply) {
    level.get(String(index)).then(
      function (cached) {
        if (cached) return reply(null, cached)
        master.invoke('chunk', index, function (error, chunk) {
          if (error) return reply(error)
          // The client need not wait until it is stored.
          level.put(String(index), chunk).catch(fail)
          reply(null, chunk)
        })
      },
      function (error) {
        reply(error)
      },
    )
  })
}

function runClient() {
  require('node:readline')
    .createInterface({ input: process.stdin })
    .once('line', (line) => {
      const { relay, count } = JSON.parse(line)
      const client = connect(relay)
      const startedAt = now()
      const chunkMs = []
      let bytes = 0
      function next(index) {
        if (index === count) return print({ startedAt, endedAt: now(), bytes, chunkMs })
        const askedAt = now()
        client.invoke('chunk', index, (error, chunk) => {
          if (error) return fail(error)
          bytes += chunk.length
          chunkMs.push(now() - askedAt)
          next(index + 1)
        })
      }
      next(0)
    })
  print('up')
}

if (role === 'source') runSource(...args)
else if (role === 'relay') runRelay(...args)
else if (role === 'client') runClient()
else {
  print('can run')
  process.exit(0)
}
// Nobody is left who wants it.
process.stdin.on('end', () => process.exit(0)).resume()
