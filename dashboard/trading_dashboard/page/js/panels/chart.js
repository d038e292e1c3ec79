// Candles of the chosen symbol with the signals on them; live, and one request for what was before.
import { CandlestickSeries, createChart, createSeriesMarkers } from "../../vendor/lightweight-charts/lightweight-charts.js";
import { put } from "../bars.js";
import { noSymbol, tell, whileChosen, whileLive } from "../chosen.js";
import { freshness } from "../freshness.js";
import { painter } from "../painting.js";
import { el, say } from "../parts.js";
import { markers } from "../signal_markers.js";
import { decimals } from "../ticks.js";

const BARS = 500;
const MOST_BARS = 1500; // after that many live ones the oldest go
const SIGNALS_MS = 15_000;
const PAUSE_MS = 200;
const AGAIN_MS = 5_000;

export function mount(element, { api, live, store }) {
  const fresh = freshness(element, "The stream of candles", Infinity);
  const title = el("p", { class: "note" });
  const place = el("div", { class: "candles", role: "img" });
  element.append(fresh.element, title, place);

  const chart = createChart(place, { autoSize: true, ...look() });
  const series = chart.addSeries(CandlestickSeries, candleLook());
  const marks = createSeriesMarkers(series, []);
  let shown = { bars: [], signals: [] };
  const stops = [whileLive(live, fresh), whileChosen(store, ["symbol", "market", "interval"], follow), whileTheme(store, repaint)];

  function follow(choice) {
    const { symbol, market } = choice;
    const ended = new AbortController();
    const mine = { bars: [], signals: [] };
    const waiting = new Map(); // opening time → bar, until the next frame
    let retry = 0;
    let stale = false; // what REST answers is no proof that the stream is sound
    shown = mine;
    series.setData([]);
    marks.setMarkers([]);
    fresh.reset();
    say(title, `${symbol}, ${choice.interval}`);

    async function load() {
      const query = `interval=${choice.interval}&limit=${BARS}&market=${market}`;
      try {
        const answer = await api.get(`/api/websocket-streaming/klines/${encodeURIComponent(symbol)}?${query}`, { signal: ended.signal });
        mine.bars = answer.data.klines.map(bar);
        precision(mine.bars);
        series.setData(mine.bars);
        if (!stale) fresh.ok();
        remark();
        paint.ask();
      } catch (error) {
        if (ended.signal.aborted) return;
        if (error.status === 404) return fresh.absent(noSymbol(choice)); // asking again would change nothing
        fresh.failed(error);
        retry = setTimeout(load, AGAIN_MS);
      }
    }

    const paint = painter(() => {
      if (!mine.bars.length) return;
      const late = [...waiting.values()].sort((a, b) => a.time - b.time).filter((one) => !isNewest(mine.bars, one));
      waiting.clear();
      if (late.length) {
        series.setData(mine.bars); // the chart's own update() knows no way back
        remark();
      }
      if (mine.bars.length > MOST_BARS) {
        mine.bars = mine.bars.slice(-BARS);
        series.setData(mine.bars);
        remark();
      }
      describe(symbol, choice.interval, mine.bars.at(-1));
    }, PAUSE_MS);
    const off = live.subscribe({ symbols: [symbol], channels: ["klines"], market, interval: choice.interval }, (event, data) => {
      tell(fresh, event, data);
      stale = event === "status" ? data.stale : stale && event !== "kline";
      if (event === "resync_required") load();
      if (event !== "kline" || data.interval !== choice.interval) return;
      waiting.set(data.open_time, bar(data));
      if (waiting.size > BARS) waiting.delete(waiting.keys().next().value); // a hidden page paints nothing
      if (mine.bars.length) fresh.ok();
      paint.ask();
    });
    const path = `/api/database-service/signals/history?symbol=${encodeURIComponent(symbol)}&limit=150`;
    const stopSignals = api.poll(path, SIGNALS_MS, (answer) => {
      mine.signals = answer.data.signals;
      remark();
    }, () => {}); // the signals' own panel says that they are old

    load();
    return () => {
      ended.abort();
      clearTimeout(retry);
      off();
      stopSignals();
      paint.stop();
    };
  }

  /** Takes a bar; false for one that isn't the newest. */
  function isNewest(bars, one) {
    const newest = put(bars, one) === "last";
    if (newest) series.update(one);
    return newest;
  }

  function precision(bars) {
    const digits = bars.slice(-50).reduce((most, one) => Math.max(most, decimals(one.close), decimals(one.open)), 0);
    series.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
  }

  function remark() {
    marks.setMarkers(markers(shown.signals, shown.bars.map((one) => one.time), colours()));
  }

  function describe(symbol, step, last) {
    const text = `${symbol}, ${step} candles; the newest: open ${last.open}, high ${last.high}, low ${last.low}, close ${last.close}`;
    if (place.getAttribute("aria-label") !== text) place.setAttribute("aria-label", text);
  }

  function repaint() {
    chart.applyOptions(look());
    series.applyOptions(candleLook());
    remark();
  }

  return () => {
    stops.forEach((stop) => stop());
    fresh.stop();
    chart.remove();
  };
}

function bar(kline) {
  return { time: Date.parse(kline.open_time) / 1000, open: kline.open, high: kline.high, low: kline.low, close: kline.close };
}

/** The theme's colours: a canvas knows no custom properties. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["surface", "line", "text", "muted", "up", "down"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function look() {
  const { surface, line, text } = colours();
  return {
    layout: { background: { color: surface || "#fff" }, textColor: text || "#111", attributionLogo: false },
    grid: { vertLines: { color: line || "#ddd" }, horzLines: { color: line || "#ddd" } },
    timeScale: { timeVisible: true, secondsVisible: false, borderColor: line || "#ddd" },
    rightPriceScale: { borderColor: line || "#ddd" },
  };
}

function candleLook() {
  const { up, down } = colours();
  return { upColor: up, borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down };
}

function whileTheme(store, repaint) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const soon = () => requestAnimationFrame(repaint);
  const onChange = (event) => event.detail.key === "theme" && soon();
  dark.addEventListener("change", soon);
  store.addEventListener("change", onChange);
  return () => {
    dark.removeEventListener("change", soon);
    store.removeEventListener("change", onChange);
  };
}
