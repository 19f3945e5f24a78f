// biome-ignore-all lint/complexity/useArrowFunction: the original reads the text of its handlers and knows only plain functions
// The original zerorpc as client or server: `node original.cjs client ENDPOINT [endless]`, `node original.cjs server`.
// It parses the text of its handlers, so they are plain functions; it needs `new Buffer` and the socket interface of zeromq 4.
const Module = require('node:module')
const resolveFilename = Module._resolveFilename
Module._resolveFilename = function (name, ...rest) {
  return resolveFilename.call(
    this,
    name === 'zeromq' || name === 'zmq' ? require.resolve('zeromq/v5-compat') : name,
    ...rest,
  )
}
const zerorpc = require('zerorpc')

const heartbeatInterval = 300
const [, , role, endpoint, mode] = process.argv

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

if (role === 'server') {
  const methods = {
    echo: function (value, reply) {
      reply(null, value)
    },
    count: function (upTo, reply) {
      let i = 0
      function next() {
        for (let burst = 0; burst < 50 && i < upTo; burst++) reply(null, i++, true)
        if (i < upTo) setImmediate(next)
        else reply()
      }
      next()
    },
    bytes: function (size, reply) {
      reply(null, Buffer.alloc(size, 7))
    },
    fail: function (reply) {
      reply(new Error('as asked'))
    },
    slow: function (ms, reply) {
      setTimeout(() => {
        reply(null, 'done')
      }, ms)
    },
  }
  const server = new zerorpc.Server(methods, heartbeatInterval)
  server.on('error', () => {})
  const net = require('node:net').createServer()
  net.listen(0, '127.0.0.1', () => {
    const { port } = net.address()
    net.close(() => {
      server.bind(`tcp://127.0.0.1:${port}`)
      print({ endpoint: `tcp://127.0.0.1:${port}` })
    })
  })
} else {
  const client = new zerorpc.Client({ timeout: 20, heartbeatInterval })
  client.on('error', () => {})
  client.connect(endpoint)
  const once = (method, ...args) =>
    new Promise((resolve) => {
      client.invoke(method, ...args, (error, value) =>
        resolve(error ? { error: { name: error.name, message: error.message } } : { value }),
      )
    })
  const stream = (upTo) =>
    new Promise((resolve) => {
      let count = 0
      let sum = 0
      client.invoke('count', upTo, (error, value, more) => {
        if (error) return resolve({ error: error.message })
        if (value !== undefined && value !== null) {
          count++
          sum += value
          if (mode === 'endless') print({ value })
        }
        if (!more) resolve({ count, sum })
      })
    })
  void (async () => {
    if (mode === 'endless') return stream(1e9)
    const binary = (await once('bytes', 1024 * 1024)).value
    print({
      call: (await once('echo', { text: 'grüße', list: [1, 2, 3] })).value,
      stream: await stream(5000),
      bytes: { size: binary.length, isRight: binary.every((byte) => byte === 7) },
      error: (await once('fail')).error,
      unknown: (await once('no_such_method')).error,
      slow: (await once('slow', 1500)).value,
    })
    client.close()
    process.exit(0)
  })()
}
