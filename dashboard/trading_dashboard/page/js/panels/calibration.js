// How often signals were right, against how sure they were. Says so where there is too little to say anything.
import { filters } from "../filters.js";
import { freshness } from "../freshness.js";
import { percent, ratio, share } from "../numbers.js";
import { el, say, table } from "../parts.js";
import { reliabilityPlot } from "./reliability_plot.js";

const PERIOD_MS = 60_000; // the service judges thousands of signals for each answer and allows ten a minute
const FEW = 20; // below so many judged signals a band's hit rate says next to nothing

export function mount(element, { api }) {
  const fresh = freshness(element, "Database Service", 3 * PERIOD_MS);
  const filter = filters(["strategy", "symbol", "from", "to"], open);
  const note = el("p", { class: "note", role: "status" });
  const plots = el("div", { class: "reliabilities" });
  const holder = el("div");
  element.append(
    fresh.element, filter.element, note, plots, holder,
    el("p", { class: "small" }, "Across: how sure the signals were; up: how many were right, in percent. On the dashed line they were as good as they said. "
      + "Signals near each other in time are hardly independent: the true intervals are wider."),
  );
  let stop = () => {};

  function open() {
    stop();
    say(note, "Judging …");
    stop = api.poll(`/api/database-service/signals/calibration?${filter.query()}`, PERIOD_MS, (answer) => paint(answer.data), (error) => {
      if (note.textContent === "Judging …") say(note, "");
      fresh.failed(error);
    });
  }

  function paint(data) {
    fresh.ok();
    say(note, enough(data));
    const horizons = Object.entries(data.horizons);
    plots.replaceChildren(...horizons.map(([name, horizon]) => el("figure", {},
      el("figcaption", {}, `After ${name}: ${horizon.judged} judged, Brier ${ratio(horizon.brier)}`), reliabilityPlot(name, horizon.bands))));
    holder.replaceChildren(bandTable(horizons));
  }

  open();
  return () => {
    stop();
    fresh.stop();
  };
}

/** What is wrong with these numbers, in a sentence or two; empty: nothing. */
export function enough(data) {
  const all = Object.entries(data.horizons);
  const most = Math.max(0, ...all.map(([, horizon]) => horizon.judged));
  const words = [];
  if (!data.signals) words.push("No signal of at least 65 % confidence with a direction is stored: there is nothing to judge.");
  else if (!most) words.push(`None of ${data.signals} signals could be judged yet: a signal is judged 1 h after it, if its price is known.`);
  else if (most < FEW * 4) words.push(`Too little to say much: at most ${most} signals are judged.`);
  const unpriced = all.filter(([, horizon]) => horizon.unpriced).map(([name, horizon]) => `${horizon.unpriced} after ${name}`);
  if (unpriced.length) words.push(`No price is known for ${unpriced.join(", ")}.`);
  const young = all.filter(([, horizon]) => horizon.too_young).map(([name, horizon]) => `${horizon.too_young} for ${name}`);
  if (young.length) words.push(`Too young: ${young.join(", ")}.`);
  if (data.complete === false) words.push("Not all were judged: narrow it by symbol and time.");
  return words.join(" ");
}

/** Whether a band kept its word. */
export function reading(band) {
  if (!band.judged) return "–";
  if (band.judged < FEW) return "too few to say";
  const said = band.mean_confidence * 100;
  if (said > band.interval[1]) return "too sure of itself";
  return said < band.interval[0] ? "better than it said" : "as good as it said";
}

function bandTable(horizons) {
  const bands = horizons[0][1].bands;
  const rows = bands.map((band, place) => el("tr", {},
    el("th", { scope: "row" }, `${percent(band.from * 100, 0)} to ${percent(band.to * 100, 0)}`),
    ...horizons.map(([, horizon]) => bandCell(horizon.bands[place]))));
  const columns = [["Said"], ...horizons.map(([name]) => [`Right after ${name}`])];
  return table("Hit rate per confidence band and horizon", columns, el("tbody", {}, ...rows));
}

function bandCell(band) {
  if (!band.judged) return el("td", {}, "– (of 0)");
  const interval = `${band.interval[0].toFixed(0)} to ${percent(band.interval[1], 0)}`;
  return el("td", {}, el("b", {}, percent(band.hit_rate)), ` (${band.right} of ${band.judged}), `, el("span", {}, `${interval}; `), el("i", {}, reading(band)));
}
