// One Socket.IO connection to websocket-streaming, shared by all panels.
import { io } from "../vendor/socket.io-client/socket.io.esm.min.js";

const AGAIN_MS = 5000;
const TRIES = 2; // so often in a row without a connection is no coincidence
const WISHED = ["symbols", "channels", "interval", "last"]; // fields of a subscription that an error can be about
const CHANNEL_OF = { price_update: "price", orderbook_update: "orderbook", trade: "trades", kline: "klines", liquidation: "liquidations" };

/** `state` is connecting, live or lost; the event "state" says that it has changed, "failing" that trying again fails. */
class Live extends EventTarget {
  #socket;
  #again = 0; // asks again for what could not be checked
  #failures = 0; // to connect, in a row
  #topics = new Map(); // what is subscribed: by topic its wish, its listeners and the last update that came

  constructor(socket) {
    super();
    this.state = "connecting";
    this.#socket = socket;
    socket.on("connect", () => {
      this.#failures = 0;
      this.#subscribe([...this.#topics.values()]);
      this.#become("live");
    });
    socket.on("disconnect", () => this.#become("lost"));
    socket.on("connect_error", () => {
      this.#failures += 1;
      this.#become("lost");
      if (this.#failures % TRIES === 0) this.dispatchEvent(new Event("failing"));
    });
    socket.on("error", (error) => this.#refuse(error));
    socket.onAny((event, data) => this.#receive(event, data));
  }

  /**
   * `onUpdate(event, data)` for each symbol and channel of the wish, the newest at once, and the event "refused" ({symbol,
   * channel, market, code, message}) for what the service doesn't serve; returns what ends it. Several
   * panels may want the same: it is subscribed once, and after a lost connection again from where it broke off.
   */
  subscribe({ symbols, channels = ["price"], market = "spot", interval = "1m" }, onUpdate) {
    const wanted = symbols.flatMap((symbol) => channels.map((channel) => this.#topic(symbol, channel, market, interval)));
    for (const topic of wanted) topic.listeners.add(onUpdate);
    this.#subscribe(wanted.map((topic) => ({ ...topic, last: null }))); // a newcomer needs the whole, not what has changed
    return () => wanted.forEach((topic) => this.#leave(topic, onUpdate));
  }

  /** Listen to an event of the service that belongs to no channel; returns what ends it. */
  on(event, handler) {
    this.#socket.on(event, handler);
    return () => this.#socket.off(event, handler);
  }

  /** Send something; while there is no connection it is dropped, not kept. */
  emit(event, payload) {
    if (this.#socket.connected) this.#socket.emit(event, payload);
  }

  /** For good: nothing is received any more. */
  close() {
    this.#socket.close();
  }

  #topic(symbol, channel, market, interval) {
    const wish = { symbol, channel, market, interval: channel === "klines" ? interval : "" };
    const key = nameOf(wish);
    if (!this.#topics.has(key)) this.#topics.set(key, { ...wish, key, listeners: new Set(), last: null });
    return this.#topics.get(key);
  }

  #leave(topic, onUpdate) {
    topic.listeners.delete(onUpdate);
    if (topic.listeners.size || this.#topics.get(topic.key) !== topic) return;
    this.#topics.delete(topic.key);
    this.emit("unsubscribe", wishOf([topic]));
  }

  #subscribe(topics) {
    for (const group of Map.groupBy(topics, ({ channel, market, interval }) => `${channel} ${market} ${interval}`).values()) {
      this.emit("subscribe", wishOf(group));
    }
  }

  #receive(event, data) {
    const channel = CHANNEL_OF[event] ?? (event === "status" || event === "resync_required" ? data.channel : null);
    if (!channel) return;
    const topic = this.#topics.get(nameOf({ symbol: data.symbol, channel, market: data.market, interval: data.interval ?? "" }));
    if (!topic) return;
    if (data.seq !== undefined) topic.last = { epoch: data.epoch, seq: data.seq };
    for (const listener of topic.listeners) listener(event, data);
  }

  /** The service doesn't say which channel is meant, but those that have received something are served. */
  #refuse(error) {
    if (!isOfSubscription(error)) return;
    const named = new Set(error.details.map((one) => one.message));
    const refused = [...this.#topics.values()].filter((topic) => named.has(topic.symbol) && !topic.last);
    for (const topic of refused) {
      const { symbol, channel, market } = topic;
      for (const listener of topic.listeners) listener("refused", { symbol, channel, market, code: error.code, message: error.message });
    }
    if (error.code !== "upstream_unavailable" || this.#again) return;
    this.#again = setTimeout(() => {
      this.#again = 0;
      this.#subscribe([...this.#topics.values()].filter((topic) => !topic.last));
    }, AGAIN_MS);
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/** Whether an `error` is about a subscription: an alert's names the field `symbol`. */
export function isOfSubscription(error) {
  return (error.details ?? []).some((one) => WISHED.includes(one.field));
}

const nameOf = ({ symbol, channel, market, interval }) => `${market} ${channel} ${symbol} ${interval}`;

/** The service's own form of topics that differ in nothing but their symbols. */
function wishOf(topics) {
  const { channel, market, interval } = topics[0];
  const last = topics.filter((topic) => topic.last).map((topic) => [[channel, topic.symbol, interval].filter(Boolean).join(":"), topic.last]);
  return {
    symbols: topics.map((topic) => topic.symbol), channels: [channel], market,
    ...(interval ? { interval } : {}), ...(last.length ? { last: Object.fromEntries(last) } : {}),
  };
}

/** `stream` and `login`: as /api/page has them. With a login all comes by WebSocket, which the dashboard passes on. */
export function connect({ stream, login }) {
  const path = stream.path.startsWith("/") ? stream.path : new URL(stream.path, document.baseURI).pathname;
  const transports = login ? ["websocket"] : ["websocket", "polling"];
  return new Live(io(stream.url || location.origin, { path, transports, tryAllTransports: true, reconnectionDelayMax: 3000 }));
}
