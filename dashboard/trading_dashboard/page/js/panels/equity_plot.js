// The equity curve and, below it on the same times, how far it is under its highest point.
import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { amount, moment } from "../numbers.js";
import { el } from "../parts.js";

const HEIGHTS = [180, 140];
const SYNC = "equity";
const ALONE_S = 3600; // shown on both sides of a trade that is the only one

/** Falls from the highest equity before, which begins at 0; never positive. */
export function drawdowns(equity) {
  let peak = 0;
  return equity.map((value) => {
    peak = Math.max(peak, value);
    return value - peak;
  });
}

/** An element that shows a curve: `draw(points)`; it takes the width of its place. */
export function equityPlot() {
  const element = el("div", { class: "plots", role: "img", "aria-label": "Equity curve" });
  let plots = [];

  function draw(points) {
    const equity = points.map((point) => point.equity);
    const times = points.map((point) => Date.parse(point.timestamp) / 1000);
    const falls = drawdowns(equity);
    element.setAttribute("aria-label", words(points, falls));
    const rows = [[times, equity], [times, falls]];
    if (plots.length) plots.forEach((plot, place) => plot.setData(rows[place]));
    else plots = rows.map((data, place) => make(element, data, place));
    plots.forEach(showLast);
  }

  function fit() {
    const width = Math.floor(element.clientWidth);
    if (width) plots.forEach((plot, place) => plot.setSize({ width, height: HEIGHTS[place] }));
  }

  function recolour() { // canvases know no CSS: they are drawn anew with the theme's colours
    plots.forEach((plot) => plot.redraw(false, true));
  }

  const sized = new ResizeObserver(fit);
  sized.observe(element);
  const themed = new MutationObserver(recolour);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", recolour);
  return {
    element,
    draw,
    stop() {
      sized.disconnect();
      themed.disconnect();
      system.removeEventListener("change", recolour);
      plots.forEach((plot) => plot.destroy());
    },
  };
}

function make(element, data, place) {
  const falls = place === 1;
  const colour = (name) => () => getComputedStyle(element).getPropertyValue(name).trim();
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  return new uPlot({
    width: element.clientWidth || 300,
    height: HEIGHTS[place],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: { sync: { key: SYNC }, drag: { x: false, y: false } },
    hooks: { setCursor: [(plot) => plot.cursor.idx === null && showLast(plot)] },
    scales: {
      x: { range: (plot, low, high) => (low === high ? [low - ALONE_S, high + ALONE_S] : [low, high]) },
      y: { range: (plot, low, high) => padded(Math.min(low ?? 0, 0), Math.max(high ?? 0, 0), falls) },
    },
    axes: [{ ...axis, ...(falls ? { size: 32, values: dates } : { size: 8, values: () => [] }) }, { ...axis, size: 64, space: 24 }],
    series: [
      { label: "UTC", value: (plot, seconds) => (seconds === null ? "–" : moment(seconds * 1000)) },
      {
        label: falls ? "Drawdown" : "Equity", stroke: colour(falls ? "--down" : "--accent"), width: 2, points: { show: data[0].length < 2 },
        fill: falls ? colour("--down-soft") : undefined, value: (plot, value) => amount(value),
      },
    ],
  }, data, element);
}

function dates(plot, splits) {
  const days = splits.length > 1 && splits[1] - splits[0] >= 86_400;
  return splits.map((seconds) => (days ? moment(seconds * 1000).slice(5, 10) : moment(seconds * 1000).slice(11, 16)));
}

/** With no pointer on the curve its legend says how it stands now. */
function showLast(plot) {
  plot.setLegend({ idx: plot.data[0].length - 1 });
}

function padded(low, high, falls) {
  const room = (high - low || 1) * 0.06;
  return [low - room, falls ? 0 : high + room];
}

function words(points, falls) {
  if (!points.length) return "Equity curve: no trades yet";
  const deepest = Math.min(...falls);
  return `Equity curve of ${points.length} points, from ${moment(points[0].timestamp)} to ${moment(points.at(-1).timestamp)} UTC: `
    + `ends at ${amount(points.at(-1).equity)}, deepest fall shown ${amount(deepest)}`;
}
