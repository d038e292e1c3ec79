// The order book of the chosen symbol: its best levels as a ladder, and how much lies how far away as two areas.
import { tell, whileChosen, whileLive } from "../chosen.js";
import { freshness } from "../freshness.js";
import { NONE } from "../numbers.js";
import { orderBook } from "../order_book.js";
import { painter } from "../painting.js";
import { el, say, table } from "../parts.js";
import { ticks } from "../ticks.js";

const LADDER = 8; // levels a side
const PLOTTED = 200;
const PAUSE_MS = 250;
const [WIDTH, HEIGHT] = [320, 96];
const SVG = "http://www.w3.org/2000/svg";
const COLUMNS = [["Price", "number"], ["Quantity", "number"], ["Total", "number"]];

export function mount(element, { live, store }) {
  const fresh = freshness(element, "The order book", Infinity);
  const spread = el("p", { class: "note" });
  const [bidArea, askArea] = ["bids", "asks"].map((side) => shape("path", { class: side }));
  const plot = shape("svg", { class: "depth", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  plot.append(bidArea, askArea);
  const rows = Array.from({ length: 2 * LADDER }, (_, place) => {
    const side = place < LADDER ? "asks" : "bids";
    return el("tr", { class: side }, ...COLUMNS.map(([, kind]) => el("td", { class: kind }, NONE)));
  });
  element.append(fresh.element, spread, plot, table("Best asks, then best bids", COLUMNS, el("tbody", {}, ...rows)));
  const stops = [whileLive(live, fresh), whileChosen(store, ["symbol", "market"], follow)];

  function follow({ symbol, market }) {
    let book = orderBook();
    const prices = ticks();
    const quantities = ticks();
    clear();
    fresh.reset();
    const paint = painter(() => show(symbol, book, prices, quantities), PAUSE_MS);
    const wish = { symbols: [symbol], channels: ["orderbook"], market };
    let off = () => {};
    let asking = 0;

    function onUpdate(event, data) {
      tell(fresh, event, data);
      if (event !== "orderbook_update") return;
      if (!book.take(data)) return again();
      fresh.ok();
      paint.ask();
    }

    function again() {
      if (asking) return;
      off();
      book = orderBook();
      asking = setTimeout(() => {
        asking = 0;
        off = live.subscribe(wish, onUpdate); // begins with a snapshot
      }, 500);
    }

    off = live.subscribe(wish, onUpdate);
    return () => {
      clearTimeout(asking);
      off();
      paint.stop();
    };
  }

  function clear() {
    say(spread, "");
    rows.forEach((row) => {
      [...row.children].forEach((cell) => say(cell, NONE));
      row.style.setProperty("--share", "0%");
    });
    [bidArea, askArea].forEach((area) => area.setAttribute("d", ""));
  }

  function show(symbol, book, prices, quantities) {
    if (!book.known) return;
    const { bids, asks } = book.best(PLOTTED);
    const most = Math.max(bids[Math.min(bids.length, LADDER) - 1]?.[2] ?? 0, asks[Math.min(asks.length, LADDER) - 1]?.[2] ?? 0);
    rows.forEach((row, place) => {
      const level = place < LADDER ? asks[LADDER - 1 - place] : bids[place - LADDER];
      const texts = level ? [prices.text(level[0]), quantities.text(level[1]), quantities.made(level[2])] : [NONE, NONE, NONE];
      texts.forEach((text, column) => say(row.children[column], text));
      row.style.setProperty("--share", level && most ? `${((100 * level[2]) / most).toFixed(1)}%` : "0%");
    });
    if (!bids.length || !asks.length) return say(spread, `${symbol}: one side is empty`);
    const gap = asks[0][0] - bids[0][0];
    const middle = (asks[0][0] + bids[0][0]) / 2;
    say(spread, `${symbol}: spread ${prices.made(gap)} (${((gap / middle) * 10_000).toFixed(2)} bp)`);
    draw(bids, asks, middle);
  }

  function draw(bids, asks, middle) {
    const reach = Math.max(middle - bids.at(-1)[0], asks.at(-1)[0] - middle);
    const high = Math.max(bids.at(-1)[2], asks.at(-1)[2]);
    const x = (price) => (WIDTH / 2 + ((price - middle) / reach) * (WIDTH / 2)).toFixed(1);
    const y = (total) => (HEIGHT - (total / high) * (HEIGHT - 2)).toFixed(1);
    for (const [area, levels] of [[bidArea, bids], [askArea, asks]]) {
      const steps = levels.map(([price, , total]) => `H${x(price)}V${y(total)}`).join("");
      area.setAttribute("d", `M${x(levels[0][0])} ${HEIGHT}${steps}V${HEIGHT}Z`);
    }
    const sides = `${bids.at(-1)[2].toPrecision(3)} bid and ${asks.at(-1)[2].toPrecision(3)} asked`;
    plot.setAttribute("aria-label", `Depth: ${sides} in the best ${PLOTTED} levels of each side`);
  }

  return () => {
    stops.forEach((stop) => stop());
    fresh.stop();
  };
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
