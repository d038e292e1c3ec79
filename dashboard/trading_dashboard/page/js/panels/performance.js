// What the bots' closed trades say: figures, the equity curve with its drawdown, and a row per strategy.
import { filters } from "../filters.js";
import { freshness } from "../freshness.js";
import { amount, number, percent, ratio } from "../numbers.js";
import { el, fill, say, table } from "../parts.js";
import { equityPlot } from "./equity_plot.js";

const PERIOD_MS = 10_000;
const FIGURES = [ // as /performance/stats names them, with the words for them and how they are written
  ["trades", "Trades", number], ["wins", "Wins", number], ["losses", "Losses", number],
  ["win_rate", "Win rate", (value) => percent(value)], ["total_pnl", "Total profit", amount],
  ["average_pnl", "Average", amount], ["best", "Best", amount], ["worst", "Worst", amount],
  ["profit_factor", "Profit factor", ratio], ["expectancy", "Expectancy", amount], ["sharpe", "Sharpe, per trade", ratio],
  ["sortino", "Sortino, per trade", ratio], ["max_drawdown", "Deepest fall", (value) => ratio(value)],
  ["max_drawdown_pct", "Deepest fall, %", (value) => percent(value)],
];
const COLUMNS = ["trades", "win_rate", "total_pnl", "profit_factor", "sharpe", "max_drawdown"];

export function mount(element, { api }) {
  const fresh = freshness(element, "Database Service", 3 * PERIOD_MS);
  const filter = filters(["strategy", "symbol", "bot_id", "from", "to"], open);
  const note = el("p", { class: "note", role: "status" });
  const values = new Map(FIGURES.map(([name]) => [name, el("dd", { "data-figure": name }, "–")]));
  const figures = el("dl", { class: "figures" }, ...FIGURES.map(([name, label]) => el("div", {}, el("dt", {}, label), values.get(name))));
  const plot = equityPlot();
  const body = el("tbody");
  const heads = [["Strategy"], ...COLUMNS.map((name) => [FIGURES.find((one) => one[0] === name)[1], "number"])];
  element.append(
    fresh.element, filter.element, note, figures, plot.element,
    el("h3", {}, "Per strategy"), table("Performance per strategy", heads, body),
    el("p", { class: "small" }, "Profit in quote currency, net of fees, on paper. Ratios are per trade, not annualised; – is undefined."),
  );
  let stop = () => {};

  function open() {
    stop();
    stop = api.poll(`/api/database-service/performance/stats?${filter.query()}`, PERIOD_MS, (answer) => paint(answer.data), fresh.failed);
  }

  function paint(data) {
    fresh.ok();
    const away = data.complete === false ? "The database is away: only trades that wait for it are counted." : "";
    say(note, away || (data.trades ? "" : "There are no such trades."));
    for (const [name, , write] of FIGURES) say(values.get(name), write(data[name]));
    plot.draw(data.equity_curve);
    const rows = Object.entries(data.by_strategy).sort((one, other) => other[1].total_pnl - one[1].total_pnl);
    fill(body, rows, ([name]) => name, ([name]) => strategyRow(name), updateRow);
  }

  open();
  return () => {
    stop();
    fresh.stop();
    plot.stop();
  };
}

function strategyRow(name) {
  return el("tr", {}, el("th", { scope: "row" }, name), ...COLUMNS.map(() => el("td", { class: "number" })));
}

function updateRow(row, [, tally]) {
  COLUMNS.forEach((name, place) => {
    const [, , write] = FIGURES.find((one) => one[0] === name);
    say(row.cells[place + 1], write(tally[name]));
  });
}
