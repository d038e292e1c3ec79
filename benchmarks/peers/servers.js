// The peers of benchmarks/simulator_wire.py: a `ws` server that sends recorded ticks of frames to whoever connects, as
// often as they came, and Fastify serving ready bytes. `node servers.js ws|fastify FILE`; prints its port.
const fs = require("node:fs");

const [, , kind, file] = process.argv;
const data = JSON.parse(fs.readFileSync(file, "utf8"));

if (kind === "ws") {
  const { WebSocketServer } = require("ws");
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  server.on("listening", () => console.log(server.address().port));
  let tick = 0;
  let sent = 0;
  setInterval(() => {
    const frames = data.ticks[tick++ % data.ticks.length];
    for (const frame of frames) {
      for (const client of server.clients) client.send(frame);
      sent += server.clients.size;
    }
  }, data.tick_ms);
  process.stdin.on("data", () => console.log(sent));
} else {
  const fastify = require("fastify")();
  for (const [path, body] of Object.entries(data)) {
    const bytes = Buffer.from(body);
    fastify.get(path, (request, reply) => reply.header("content-type", "application/json;charset=UTF-8").send(bytes));
  }
  fastify.listen({ host: "127.0.0.1", port: 0 }).then(() => console.log(fastify.server.address().port));
}
