// The newest price of every symbol: which way it went, its day, how old it is, and from which venue.
import { whileChosen, whileLive } from "../chosen.js";
import { freshness } from "../freshness.js";
import { NONE, share, span } from "../numbers.js";
import { painter } from "../painting.js";
import { el, fill, say, table } from "../parts.js";
import { size, ticks } from "../ticks.js";

const OLD_MS = 10_000;
const PAUSE_MS = 100; // ten times a second: nobody reads faster
const WAITING = "waiting"; // for what a perpetual's first seconds don't have yet
const COLUMNS = [
  ["Symbol"], ["Price", "number"], ["24 h", "number"], ["Low", "number wide"], ["High", "number wide"],
  ["Volume", "number wide"], ["Mark", "number futures"], ["Funding", "number futures"], ["Age", "number"], ["Venue", "roomy"],
];

export function mount(element, { live, store, listed }) {
  const fresh = freshness(element, "The stream", OLD_MS);
  const spoken = el("p", { class: "unseen", role: "status" });
  const body = el("tbody");
  element.append(fresh.element, table("Newest prices", COLUMNS, body), spoken);
  const stops = [
    whileLive(live, fresh),
    whileChosen(store, ["market"], ({ market }) => {
      element.dataset.market = market;
      fresh.reset();
      body.replaceChildren(); // no spot price may stand where the perpetual's belongs
      return whileShown((symbols) => follow(symbols, market));
    }),
    whileChosen(store, ["symbol"], () => (mark(), () => {})),
  ];

  /** `begin(symbols)` for those that are listed and the chosen one; anew when they become others. */
  function whileShown(begin) {
    const read = () => [...new Set([...listed.symbols, store.get("symbol")])];
    let symbols = read();
    let end = begin(symbols);
    const onChange = () => {
      if (String(read()) === String(symbols)) return;
      end();
      symbols = read();
      end = begin(symbols);
    };
    listed.addEventListener("change", onChange);
    store.addEventListener("change", onChange);
    return () => {
      listed.removeEventListener("change", onChange);
      store.removeEventListener("change", onChange);
      end();
    };
  }

  function follow(symbols, market) {
    const rows = new Map(symbols.map((symbol) => [symbol, { symbol, digits: ticks(), update: null, received: 0, way: "", refused: "" }]));
    fill(body, [...rows.values()], (row) => row.symbol, make);
    mark();
    const paint = painter(() => [...body.children].forEach((node) => update(node, rows.get(node.dataset.key), live.state === "lost")), PAUSE_MS);
    const off = live.subscribe({ symbols, channels: ["price"], market }, (event, data) => {
      const row = rows.get(data.symbol);
      if (event === "refused" && row) {
        row.refused = data.code === "unknown_symbol" ? `no such symbol on ${market}` : "can't be followed now";
        paint.ask();
      }
      if (event !== "price_update" || !row) return;
      if (row.update && data.price !== row.update.price) row.way = data.price > row.update.price ? "up" : "down";
      if (row.update && data.stale !== row.update.stale) {
        say(spoken, data.stale ? `${data.symbol}: its price is stale.` : `${data.symbol}: its price is live again.`);
      }
      row.update = data;
      row.refused = "";
      row.received = Date.now();
      fresh.ok(row.received);
      paint.ask();
    });
    const second = setInterval(paint.ask, 1000); // ages grow without any update
    paint.ask();
    return () => {
      off();
      paint.stop();
      clearInterval(second);
    };
  }

  function make({ symbol }) {
    const choose = el("button", { type: "button", class: "link", onclick: () => store.set("symbol", symbol) }, symbol);
    return el("tr", {}, el("th", { scope: "row" }, choose), ...COLUMNS.slice(1).map(([, kind]) => el("td", { class: kind }, NONE)));
  }

  function mark() {
    for (const node of body.children) {
      const chosen = node.dataset.key === store.get("symbol");
      node.classList.toggle("chosen", chosen);
      node.querySelector("button").setAttribute("aria-pressed", String(chosen));
    }
  }

  return () => {
    stops.forEach((stop) => stop());
    fresh.stop();
  };
}

function update(node, row, lost) {
  const { update: now, digits } = row;
  const [, price, day, low, high, volume, mark, funding, age, venue] = node.children;
  if (row.refused || !now) say(age, row.refused || WAITING);
  if (!now) return;
  say(price, `${{ up: "↑ ", down: "↓ " }[row.way] ?? ""}${digits.text(now.price)}`);
  price.dataset.way = row.way;
  say(day, `${now.changePercent > 0 ? "▲" : now.changePercent < 0 ? "▼" : "="} ${Math.abs(now.changePercent).toFixed(2)} %`);
  day.dataset.way = now.changePercent > 0 ? "up" : now.changePercent < 0 ? "down" : "";
  say(low, digits.text(now.low));
  say(high, digits.text(now.high));
  say(volume, size(now.volume));
  const marked = now.mark_price !== undefined; // it comes a moment after the first price, and has decimals of its own
  say(mark, marked ? digits.made(now.mark_price) : WAITING);
  say(funding, marked ? share(now.funding_rate, 4) : WAITING);
  const age_ms = Date.now() - row.received;
  const old = now.stale || lost; // a quiet market is not old: the service says what is
  say(age, `${now.stale ? "stale, " : old ? "old, " : ""}${span(age_ms / 1000)}`);
  node.classList.toggle("old", old);
  say(venue, now.venue);
}
