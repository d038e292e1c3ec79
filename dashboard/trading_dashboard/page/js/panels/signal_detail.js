// Everything that is stored of one signal.
import { show } from "../ask.js";
import { moment, number, share } from "../numbers.js";
import { el, pairs } from "../parts.js";
import { verdict } from "../verdict.js";

const SHOWN = {
  signal_id: ["Id", String],
  timestamp: ["Time (UTC)", (value) => value.replace("T", " ").replace("Z", "")],
  symbol: ["Symbol", String],
  signal_type: ["Type", String],
  confidence: ["Confidence", (value) => share(value)],
  price: ["Price", number],
  stop_loss: ["Stop-loss", number],
  take_profit: ["Take-profit", number],
  leverage: ["Leverage", (value) => `${number(value)} ×`],
  strategy: ["Strategy", String],
  bot_id: ["Bot", String],
  timeframe: ["Timeframe", String],
};
const OWN = new Set(["compliant", "violations"]); // said as the verdict

/** A dialog about it. `toChart` is offered as a button. */
export function showSignal(signal, toChart) {
  const facts = Object.entries(SHOWN).map(([name, [label, words]]) => [label, signal[name] === undefined || signal[name] === null ? "–" : words(signal[name])]);
  const others = Object.entries(signal).filter(([name]) => !(name in SHOWN) && !OWN.has(name));
  const list = el("dl", { class: "facts" }, ...pairs([["Verdict", verdict(signal)], ...facts]));
  const rest = others.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, written(value))));
  list.append(...rest);
  const chart = el("button", { type: "button", onclick: () => { dialog.close(); toChart(signal.symbol); } }, "Show its symbol on the chart");
  const dialog = show(`${signal.signal_type} ${signal.symbol}, ${moment(signal.timestamp)} UTC`, list, chart);
}

function written(value) {
  if (value === null) return "–";
  return typeof value === "object" ? el("pre", {}, JSON.stringify(value, null, 1)) : String(value);
}
