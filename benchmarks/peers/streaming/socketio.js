// The fan-out as socket.io's documentation writes it: one room a symbol, one emit an update.
// `node socketio.js EXCHANGE_PORT`; prints its own port.
const http = require("node:http");
const { Server } = require("socket.io");
const { WebSocket } = require("ws");

const server = http.createServer((request, response) => {
  // GET /price/<symbol>, the newest price held.
  const held = newest.get(request.url.slice("/price/".length));
  const body = JSON.stringify({ success: true, data: held, source: "cache", age_ms: 1, stale: false });
  response.writeHead(held ? 200 : 404, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
});
const io = new Server(server, { serveClient: false });
const newest = new Map();
const seqs = new Map();

io.on("connection", (socket) => {
  socket.on("subscribe", ({ symbols }) => {
    socket.join(symbols);
    socket.emit("subscribed", { symbols });
  });
});

const upstream = new WebSocket(`ws://127.0.0.1:${process.argv[2]}/stream`);
upstream.on("open", () => upstream.send(JSON.stringify({ method: "SUBSCRIBE", params: ["btcusdt@trade"], id: 1 })));
upstream.on("message", (message) => {
  const { data } = JSON.parse(message);
  if (!data || data.e !== "trade") return;
  const seq = (seqs.get(data.s) || 0) + 1;
  seqs.set(data.s, seq);
  const update = {
    symbol: data.s, price: Number(data.p), volume: 16302.36631, high: 111190.0, low: 108635.0, change: 475.71,
    changePercent: 0.434, timestamp: new Date(data.E).toISOString(), venue: "binance", market: "spot", seq,
    epoch: "0123456789abcdef", stale: false,
  };
  newest.set(data.s, update);
  io.to(data.s).emit("price_update", update);
});
upstream.on("open", () => server.listen(0, "127.0.0.1", () => console.log(server.address().port)));
