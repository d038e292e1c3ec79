// The stored signals, newest first, each with its verdict.
import { filters } from "../filters.js";
import { freshness } from "../freshness.js";
import { number, share, short } from "../numbers.js";
import { el, fill, say, table } from "../parts.js";
import { verdict } from "../verdict.js";
import { showSignal } from "./signal_detail.js";

const PAGE = 50;
const PERIOD_MS = 5000; // the first page is asked again so often; later pages stand still while they are read
const NOTES = {
  "database+spool": "The database is away: these are only the signals that wait for it.",
  cache: "Kept in Redis only: not durable.",
  memory: "Kept in memory only: gone with the service.",
};
const COLUMNS = [["Time (UTC)"], ["Signal"], ["Conf.", "number"], ["Price", "number roomy"], ["Verdict"], ["Strategy", "wide"], ["Bot", "wide"]];

export function mount(element, { api, store }) {
  const fresh = freshness(element, "Database Service", 4 * PERIOD_MS);
  const filter = filters(["symbol", "signal_type", "strategy", "bot_id", "min_confidence", "from", "to"], () => open([null]));
  const body = el("tbody");
  const note = el("p", { class: "note", role: "status" });
  const place = el("span", { class: "place" }, "Page 1");
  const newer = el("button", { type: "button", onclick: () => open(cursors.slice(0, -1)) }, "Newer");
  const older = el("button", { type: "button", onclick: () => open([...cursors, next]) }, "Older");
  const save = el("a", { class: "button", download: "signals.csv" }, "Save as CSV");
  element.append(
    fresh.element, filter.element, note, table("Signals, newest first", COLUMNS, body),
    el("div", { class: "buttons" }, newer, place, older, save),
  );
  let cursors = [null]; // of the pages up to this one
  let next = null;
  let stop = () => {};

  function open(pages) {
    stop();
    cursors = pages;
    older.disabled = true; // until the new page says where it goes on
    newer.disabled = cursors.length === 1;
    const query = filter.query();
    save.href = `api/database-service/signals/export?${new URLSearchParams([["format", "csv"], ...query])}`;
    query.set("limit", PAGE);
    if (cursors.at(-1)) query.set("cursor", cursors.at(-1));
    const path = `/api/database-service/signals/history?${query}`;
    stop = api.poll(path, PERIOD_MS, (answer) => paint(answer.data), fresh.failed);
  }

  function paint(data) {
    fresh.ok();
    next = data.next_cursor;
    fill(body, data.signals, (signal) => signal.signal_id, row, update);
    say(place, `Page ${cursors.length}`);
    older.disabled = !next;
    say(note, NOTES[data.source] ?? (data.signals.length ? "" : "There are no such signals."));
  }

  function row(signal) {
    const made = el("tr");
    const open_ = el("button", { type: "button", class: "link", "aria-haspopup": "dialog" }, short(signal.timestamp));
    open_.addEventListener("click", () => showSignal(made.signal, (symbol) => store.set("symbol", symbol)));
    made.append(
      el("td", {}, open_), el("td", {}, el("b", { class: `side ${signal.signal_type}` }, signal.signal_type), ` ${signal.symbol}`),
      el("td", { class: "number" }), el("td", { class: "number roomy" }), el("td", {}, el("span")), el("td", { class: "wide" }), el("td", { class: "wide" }),
    );
    return made;
  }

  open(cursors);
  return () => {
    stop();
    fresh.stop();
  };
}

function update(row, signal) {
  row.signal = signal;
  const cells = row.cells;
  say(cells[2], share(signal.confidence));
  say(cells[3], number(signal.price));
  say(cells[5], signal.strategy ?? "–");
  say(cells[6], signal.bot_id ?? "–");
  const rules = cells[4].firstChild;
  say(rules, verdict(signal));
  rules.className = signal.compliant ? "keeps" : "breaks";
}
