// The simulator's controls, where it is the simulator that serves: start a scenario, see what runs, end it.
import { confirm } from "../ask.js";
import { freshness } from "../freshness.js";
import { clock, number, span } from "../numbers.js";
import { el, fill, labelled, options, reason, say } from "../parts.js";
import { named, reachesAll, scenarioForm } from "./scenario_form.js";

const PERIOD_MS = 2000;
const PAGE_MS = 5000; // who serves changes only when websocket-streaming starts anew, but may not be known at first
const ENDED = 5; // shown of those that are over
const BASE = "/api/market-simulator/sim";

export function mount(element, { api, store, page }) {
  const place = el("div");
  const away = el("p", { class: "note" });
  element.append(away, place);
  let unmount = null;

  function decide({ venue }) {
    const ours = venue === "simulator";
    if (ours && !unmount) unmount = controls(place, { api, store, login: page.login });
    if (!ours && unmount) close();
    say(away, ours ? "" : venue ? `Prices come from ${venue}: there is nothing to control here.` : "Nobody says yet where prices come from.");
  }

  function close() {
    unmount?.();
    unmount = null;
    place.replaceChildren();
  }

  decide(page);
  const stop = api.poll("/api/page", PAGE_MS, (answer) => decide(answer.data), () => {});
  return () => {
    stop();
    close();
  };
}

function controls(element, { api, store, login }) {
  const watching = login && !login.writes ? `Your role, ${login.role}, watches: it begins and ends nothing.` : "";
  const fresh = freshness(element, "Market Simulator", 3 * PERIOD_MS);
  const menu = el("select", { name: "scenario" });
  const about = el("p", { class: "small" });
  const fields = el("div", { class: "filters" });
  const said = el("p", { class: "note", role: "status" });
  const form = el("form", {}, labelled("Scenario", menu), about, fields, el("div", { class: "buttons" }, el("button", { type: "submit", class: "main", disabled: Boolean(watching) }, "Start")));
  const running = el("ul", { class: "runs" });
  const ended = el("ul", { class: "runs" });
  say(said, watching);
  element.append(fresh.element, form, said, el("h3", {}, "Runs now"), running, el("h3", {}, "Ended"), ended);
  let scenarios = [];
  let symbols = [];
  let read = null;

  function choose() {
    const scenario = scenarios.find((one) => one.name === menu.value);
    if (!scenario) return;
    const made = scenarioForm(scenario, symbols, store.get("symbol"));
    say(about, `${plain(scenario.summary)}.`);
    fields.replaceChildren(...made.elements);
    read = made.read;
  }

  async function load() {
    const answer = await api.get(`${BASE}/scenarios`);
    scenarios = answer.data;
    menu.replaceChildren(...options(scenarios.map((one) => [one.name, one.name.replaceAll("_", " ")])));
    choose();
  }

  async function attempt(work, words) {
    try {
      say(said, words(await work()));
    } catch (error) {
      say(said, reason(error));
    }
    ask();
  }

  async function start() {
    if (!read) return;
    const body = read();
    if (reachesAll(body) && !(await confirm(`Start ${title(body.name)}?`, warning(body), "Start it"))) return;
    await attempt(() => api.post(`${BASE}/scenario`, body), (answer) => `${answer.data.id} has begun.`);
  }

  const end = (id) => attempt(() => api.delete(`${BASE}/scenario/${encodeURIComponent(id)}`), () => `${id} has ended.`);

  function paint(status) {
    fresh.ok();
    const known = Object.keys(status.symbols);
    if (known.join() !== symbols.join() || !scenarios.length) {
      symbols = known;
      load().catch(fresh.failed);
    }
    const runs = status.scenarios.filter((one) => one.running);
    const over = status.scenarios.filter((one) => !one.running).sort((one, other) => other.ended_at.localeCompare(one.ended_at));
    fill(running, runs.length ? runs : [null], (one) => one?.id ?? "none", (one) => run(one, watching ? null : end), updateRun);
    fill(ended, over.length ? over.slice(0, ENDED) : [null], (one) => one?.id ?? "none", (one) => run(one), updateRun);
  }

  let stop = () => {};
  function ask() {
    stop();
    stop = api.poll(`${BASE}/status`, PERIOD_MS, (answer) => paint(answer.data), fresh.failed);
  }

  menu.addEventListener("change", choose);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  const onStore = () => {
    const select = fields.querySelector("select[name=symbol]");
    if (select && symbols.includes(store.get("symbol"))) select.value = store.get("symbol");
  };
  store.addEventListener("change", onStore);
  ask();
  return () => {
    store.removeEventListener("change", onStore);
    stop();
    fresh.stop();
  };
}

// Summaries name parameters as the service does: size_pct is "size" to a reader.
const plain = (summary) => summary.replaceAll(/[a-z]+(_[a-z]+)+/g, (name) => title(name.replace(/_(pct|ms|s)$/, "")));

const title = (name) => name.replaceAll("_", " ");

function warning(body) {
  const long = body.duration_s ? ` for ${span(body.duration_s)}` : "";
  return el("p", {}, `It reaches every client and every symbol of the simulator${long}, this page among them. It ends by itself.`);
}

function run(one, end) {
  if (!one) return el("li", { class: "none" }, "none");
  const words = el("span");
  const button = end && el("button", { type: "button", "aria-label": `End ${one.id}`, onclick: () => end(one.id) }, "End");
  return el("li", {}, words, button);
}

function updateRun(node, one) {
  if (!one) return;
  const where = one.symbol ? `${one.symbol}${one.market === "spot" ? "" : ` ${one.market}`}` : "everything";
  const params = Object.entries(one.params).filter(([, value]) => value !== null);
  const told = params.map(([name, value]) => `${named(name)} ${typeof value === "number" ? number(value) : value}`).join(", ");
  const when = one.running ? `${span((Date.parse(one.ends_at) - Date.now()) / 1000)} left` : `ended ${clock(one.ended_at)} UTC`;
  say(node.firstChild, `${title(one.name)} on ${where}${told ? `, ${told}` : ""}: ${when}`);
}
