// Claimed confidence against what came true, one point a band with its 95 % interval; on the diagonal is honest.
import { percent, share } from "../numbers.js";

const SVG = "http://www.w3.org/2000/svg";
const SIZE = { width: 180, height: 130, left: 26, right: 8, top: 8, bottom: 20 };
const LOW = 60; // percent: the bands begin at 65

function shape(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const x = (pct) => SIZE.left + ((pct - LOW) / (100 - LOW)) * (SIZE.width - SIZE.left - SIZE.right);
const y = (pct) => SIZE.height - SIZE.bottom - (pct / 100) * (SIZE.height - SIZE.top - SIZE.bottom);

/** The picture of one horizon's bands. */
export function reliabilityPlot(horizon, bands) {
  const judged = bands.filter((band) => band.judged);
  const svg = shape("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, class: "reliability", role: "img", "aria-label": words(horizon, judged) });
  svg.append(...frame(), shape("line", { class: "diagonal", x1: x(LOW), y1: y(LOW), x2: x(100), y2: y(100) }));
  for (const band of judged) svg.append(...mark(band));
  if (!judged.length) svg.append(shape("text", { class: "label", x: SIZE.width / 2, y: SIZE.height / 2, "text-anchor": "middle" }, "nothing judged yet"));
  return svg;
}

function frame() {
  const shapes = [];
  for (const pct of [0, 50, 100]) {
    shapes.push(shape("line", { class: "grid", x1: x(LOW), y1: y(pct), x2: x(100), y2: y(pct) }));
    shapes.push(shape("text", { class: "label", x: SIZE.left - 5, y: y(pct) + 4, "text-anchor": "end" }, `${pct}`));
  }
  for (const pct of [60, 80, 100]) {
    shapes.push(shape("text", { class: "label", x: x(pct), y: SIZE.height - 5, "text-anchor": pct === 100 ? "end" : "middle" }, `${pct} %`));
  }
  return shapes;
}

function mark(band) {
  const at = x(band.mean_confidence * 100);
  const [low, high] = band.interval;
  const point = shape("circle", { class: "point", cx: at, cy: y(band.hit_rate), r: 3.5 });
  point.append(shape("title", {}, `${share(band.mean_confidence)} sure, ${percent(band.hit_rate)} right, of ${band.judged}`));
  return [shape("line", { class: "interval", x1: at, y1: y(low), x2: at, y2: y(high) }), point];
}

function words(horizon, judged) {
  const points = judged.map((band) => `${share(band.mean_confidence)} sure: ${percent(band.hit_rate)} right, of ${band.judged}`);
  return `After ${horizon}: ${points.join("; ") || "nothing judged yet"}`;
}
