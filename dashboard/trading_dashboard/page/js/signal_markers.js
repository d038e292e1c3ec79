// Signals as marks on the chart's bars: the side by place, colour and word, the verdict by shape and sign.
import { broken } from "./verdict.js";

const SIDES = { BUY: ["arrowUp", "belowBar", "up"], SELL: ["arrowDown", "aboveBar", "down"] };
const BREAKS = "square"; // whatever its side: nobody should act on it

/** For bars with these opening times (seconds, rising), markers in lightweight-charts' form. */
export function markers(signals, times, colours) {
  if (!times.length) return [];
  const step = times.length > 1 ? times[1] - times[0] : 60;
  const found = [];
  for (const signal of signals) {
    const at = Date.parse(signal.timestamp) / 1000;
    if (at < times[0] || at >= times.at(-1) + step) continue;
    const [shape, position, colour] = SIDES[signal.signal_type] ?? ["circle", "aboveBar", "muted"];
    const breaks = broken(signal).length > 0 || signal.compliant === false;
    const text = `${signal.signal_type} ${breaks ? "✗" : "✓"}`;
    found.push({ time: opening(times, at), shape: breaks ? BREAKS : shape, position, color: colours[colour], text });
  }
  return found.sort((one, other) => one.time - other.time);
}

/** The last opening time that isn't after `at`. */
function opening(times, at) {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= at) low = middle;
    else high = middle - 1;
  }
  return times[low];
}
