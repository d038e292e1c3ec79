// The newest trades of the chosen symbol, newest first.
import { tell, whileChosen, whileLive } from "../chosen.js";
import { freshness } from "../freshness.js";
import { clock } from "../numbers.js";
import { painter } from "../painting.js";
import { el, say, table } from "../parts.js";
import { ticks } from "../ticks.js";

const KEPT = 100;
const PAUSE_MS = 200; // five times a second is as fast as anybody reads
const COLUMNS = [["Time (UTC)"], ["Side"], ["Price", "number"], ["Quantity", "number"]];

export function mount(element, { live, store }) {
  const fresh = freshness(element, "The stream of trades", Infinity);
  const note = el("p", { class: "note" });
  const body = el("tbody");
  element.append(fresh.element, note, table("Newest trades", COLUMNS, body));
  const stops = [whileLive(live, fresh), whileChosen(store, ["symbol", "market"], follow)];

  function follow({ symbol, market }) {
    let trades = [];
    let missed = 0;
    const prices = ticks();
    const quantities = ticks();
    body.replaceChildren();
    fresh.reset();
    say(note, symbol);
    const paint = painter(() => {
      trades.length = Math.min(trades.length, KEPT);
      while (body.children.length < trades.length) body.append(el("tr", {}, ...COLUMNS.map(([, kind]) => el("td", { class: kind }))));
      trades.forEach((trade, place) => update(body.children[place], trade, prices, quantities));
      say(note, missed ? `${symbol}; ${missed} trades are missing here: this page was too slow, or nobody could fill a hole` : symbol);
    }, PAUSE_MS);
    const off = live.subscribe({ symbols: [symbol], channels: ["trades"], market }, (event, data) => {
      tell(fresh, event, data);
      if (event !== "trade") return;
      missed += data.missed ?? 0;
      trades.unshift(data);
      if (trades.length > 2 * KEPT) trades = trades.slice(0, KEPT);
      fresh.ok();
      paint.ask();
    });
    return () => {
      off();
      paint.stop();
    };
  }

  return () => {
    stops.forEach((stop) => stop());
    fresh.stop();
  };
}

function update(row, trade, prices, quantities) {
  const [time, side, price, quantity] = row.children;
  row.dataset.id = trade.trade_id;
  say(time, clock(trade.timestamp));
  say(side, trade.side === "buy" ? "▲ buy" : "▼ sell");
  side.dataset.way = trade.side === "buy" ? "up" : "down";
  say(price, prices.text(trade.price));
  say(quantity, quantities.text(trade.quantity));
}
