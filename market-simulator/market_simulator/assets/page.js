// Asks /sim/status each second and shows it. No library, no build step; texts are set as text, never as HTML.
"use strict";

const PERIOD_MS = 1000;
const $ = (id) => document.getElementById(id);
let base = ""; // "" is the service's own market, "/s/<id>" a session's
let menu = [];
let symbols = [];
let failed = "";

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  if (className) node.className = className;
  return node;
}

async function call(method, path, body) {
  const options = body ? { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : {};
  const answer = await fetch(path, { method, ...options });
  const reply = await answer.json();
  if (reply.success) return reply.data;
  const error = reply.error;
  throw new Error(error.details.map((one) => `${one.field} ${one.message}`).join("; ") || error.message);
}

function say(text, bad) {
  $("state").textContent = text;
  $("state").className = bad ? "bad" : "";
}

async function attempt(work) {
  try {
    say(await work(), false);
  } catch (error) {
    say(error.message, true);
  }
  await refresh();
}

// Rows are kept by key and only changed texts are set, so that a focused button stays focused.
function fill(body, items, key, cells, act) {
  const rows = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const wanted = items.map((item) => {
    const row = rows.get(String(key(item))) || element("tr");
    row.dataset.key = key(item);
    const columns = cells(item);
    while (row.cells.length < columns.length) row.append(element("td", "", columns[row.cells.length][1]));
    columns.forEach(([text], place) => {
      if (row.cells[place].textContent !== String(text)) row.cells[place].textContent = text;
    });
    if (act && row.cells.length === columns.length) row.append(actCell(act, item));
    return row;
  });
  if (!wanted.length) {
    const row = element("tr");
    row.append(element("td", "none", "empty"));
    row.cells[0].colSpan = 7;
    wanted.push(row);
  }
  if (wanted.length !== body.rows.length || wanted.some((row, place) => row !== body.rows[place])) {
    body.replaceChildren(...wanted);
  }
}

function actCell([label, work], item) {
  const cell = element("td");
  const button = element("button", label);
  button.type = "button";
  button.setAttribute("aria-label", `${label} ${item.id}`);
  button.addEventListener("click", () => attempt(() => work(item)));
  cell.append(button);
  return cell;
}

function seconds(value) {
  const whole = Math.max(0, Math.round(value));
  if (whole < 60) return `${whole} s`;
  return whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}

function truth(planted) {
  return Object.entries(planted).map(([name, value]) => {
    const full = Array.isArray(value) && value.length > 5 ? [...value.slice(-5), `… ${value.length} in all`] : value;
    return `${name} ${typeof full === "object" ? JSON.stringify(full) : full}`;
  }).join("\n").slice(0, 900);
}

function showFacts(status) {
  const facts = {
    "Simulated time": new Date(status.now_ms).toISOString().replace("T", " ").slice(0, 19),
    "Speed": `${status.speed} ×`,
    "Seed": status.seed,
    "Limits": status.limits ? "as the exchange's" : "off",
    "REST": location.origin + base,
    "WebSocket": location.origin.replace("http", "ws") + base,
    "Note": status.note,
  };
  const list = $("facts");
  if (list.childElementCount !== Object.keys(facts).length) {
    list.replaceChildren(...Object.keys(facts).map((name) => {
      const pair = element("div");
      pair.append(element("dt", name), element("dd"));
      return pair;
    }));
  }
  Object.values(facts).forEach((value, place) => { list.children[place].lastChild.textContent = value; });
}

function showScenarios(status) {
  const left = (one) => seconds((Date.parse(one.ends_at) - Date.now()) / 1000);
  const row = (one, when) => [[one.id], [one.symbol ? `${one.symbol}${one.market === "spot" ? "" : ` ${one.market}`}` : "–"], [when], [truth(one.planted), "truth"]];
  const running = status.scenarios.filter((one) => one.running);
  const ended = status.scenarios.filter((one) => !one.running);
  fill($("running"), running, (one) => one.id, (one) => row(one, left(one)), ["End", async (one) => {
    await call("DELETE", `${base}/sim/scenario/${one.id}`);
    return `${one.id} has ended.`;
  }]);
  fill($("ended"), ended, (one) => one.id, (one) => row(one, one.ended_at.slice(11, 19)));
}

function showMarket(status) {
  const shown = status.newest_sockets.length;
  $("sockets-caption").textContent = `Sockets: ${status.sockets}${shown < status.sockets ? `, the newest ${shown} here` : ""}`;
  fill($("sockets"), status.newest_sockets, (one) => one.id, (one) => [
    [`#${one.id}${one.silenced ? " (silenced)" : ""}`], [one.address], [seconds(one.age_s), "number"], [one.frames_sent, "number"],
    [`${one.newest_streams.join("  ")}${one.streams > one.newest_streams.length ? `  … ${one.streams} in all` : ""}` || "none", "truth"],
  ]);
  const rows = [["spot", status.symbols, status.channels], ["perpetual", status.futures || {}, status.futures_channels || {}]];
  const markets = rows.flatMap(([market, all, channels]) => Object.entries(all).map(([symbol, one]) => ({
    symbol, market, channels: channels[symbol] || 0, ...one,
  })));
  fill($("symbols"), markets, (one) => `${one.market} ${one.symbol}`, (one) => [
    [one.symbol], [one.market], [one.price ?? "–", "number"], [one.kind], [one.channels, "number"], [one.lap ?? "–", "number"],
    [one.next_seam_at ? `in ${seconds((one.next_seam_at - status.now_ms) / 1000 / status.speed)}` : "–"],
  ]);
}

function showSessions(sessions) {
  fill($("sessions"), sessions, (one) => one.id, (one) => [
    [one.name ? `${one.name} (${one.id})` : one.id], [location.origin + one.path, "truth"],
    [`${one.speed} ×`], [one.sockets, "number"], [seconds(one.idle_s)],
  ], ["End", async (one) => {
    await call("DELETE", `/sim/session/${one.id}`);
    return `The session ${one.id} has ended.`;
  }]);
  const options = [["", "the service's own"], ...sessions.map((one) => [one.path, `session ${one.name || one.id}`])];
  const select = $("where");
  if (options.map(String).join() !== [...select.options].map((one) => String([one.value, one.text])).join()) {
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  }
  if (!options.some(([value]) => value === base)) choose("");
  select.value = base;
}

// The form of one scenario, made from what GET /sim/scenarios says about its parameters.
function input(name, schema, value) {
  const kinds = schema.anyOf ? schema.anyOf.find((one) => one.type !== "null") : schema;
  const values = kinds.enum || (kinds.const === undefined ? null : [kinds.const]);
  let node;
  if (values) {
    node = element("select");
    node.append(...values.map((one) => new Option(one, JSON.stringify(one))));
    node.dataset.kind = "json";
    if (value !== undefined) node.value = JSON.stringify(value);
  } else {
    node = element("input");
    const kind = kinds.type || "string";
    node.dataset.kind = kind;
    node.type = { number: "number", integer: "number", boolean: "checkbox" }[kind] || "text";
    if (kind === "number") node.step = "any";
    if (kind === "boolean") node.checked = Boolean(value);
    else if (value !== undefined && value !== null) node.value = value;
  }
  node.name = name;
  node.title = schema.description || "";
  return node;
}

function label(text, node) {
  const outer = element("label", `${text} `);
  outer.append(node);
  if (node.type === "checkbox") outer.className = "check";
  return outer;
}

function marketSelect(entry) {
  const node = element("select");
  node.name = "market";
  node.append(...entry.markets.map((one) => new Option(one, one)));
  return label("Market", node);
}

function symbolSelect(entry) {
  const node = element("select");
  node.name = "symbol";
  node.append(...(entry.symbol === "optional" ? [new Option("all", "")] : []), ...symbols.map((one) => new Option(one, one)));
  return label("Symbol", node);
}

function showForm() {
  const entry = menu.find((one) => one.name === $("menu").value);
  if (!entry) return;
  $("summary").textContent = entry.summary;
  const fields = [];
  if (entry.markets.length > 1) fields.push(marketSelect(entry));
  if (entry.symbol !== "none") fields.push(symbolSelect(entry));
  if (entry.default_duration_s !== null) {
    fields.push(label("Seconds", input("duration_s", { type: "number" }, entry.default_duration_s)));
  }
  for (const [name, schema] of Object.entries(entry.params)) {
    const example = name === "stream" && schema.default === undefined ? "btcusdt@trade" : schema.default;
    fields.push(label(name.replaceAll("_", " "), input(`params.${name}`, schema, example)));
  }
  fields.push(label("Seed", input("seed", { type: "integer" }, 0)));
  $("fields").replaceChildren(...fields);
}

function read(node) {
  if (node.dataset.kind === "boolean") return node.checked;
  if (node.value === "") return undefined;
  if (node.dataset.kind === "json") return JSON.parse(node.value);
  return ["number", "integer"].includes(node.dataset.kind) ? Number(node.value) : node.value;
}

async function begin(form) {
  const body = { name: form.elements.name.value, params: {} };
  for (const node of $("fields").querySelectorAll("input, select")) {
    const value = read(node);
    if (value === undefined) continue;
    if (node.name.startsWith("params.")) body.params[node.name.slice(7)] = value;
    else body[node.name] = value;
  }
  const run = await call("POST", `${base}/sim/scenario`, body);
  return `${run.id} has begun.`;
}

async function openSession(form) {
  const wish = form.elements;
  const body = { name: wish.name.value, speed: Number(wish.speed.value), limits: wish.limits.checked };
  body.symbols = wish.symbols.value.toUpperCase().split(/[\s,]+/).filter(Boolean);
  if (wish.seed.value !== "") body.seed = Number(wish.seed.value);
  if (wish.replay.value) body.replay = wish.replay.value;
  const opened = await call("POST", "/sim/session", body);
  return `A session is open at ${location.origin}${opened.path}.`;
}

async function loadMenu() {
  menu = await call("GET", `${base}/sim/scenarios`);
  const chosen = $("menu").value;
  $("menu").replaceChildren(...menu.map((one) => new Option(one.name.replaceAll("_", " "), one.name)));
  if (menu.some((one) => one.name === chosen)) $("menu").value = chosen;
  showForm();
}

async function loadReplays() {
  try {
    const replays = await call("GET", "/sim/replays");
    const names = (one) => `${one.date} (${Object.keys(one.symbols).join(" ")})`;
    $("replays").querySelector("select").append(...replays.map((one) => new Option(names(one), one.date)));
    $("replays").hidden = false;
  } catch {
    // no folder of recordings: nothing to choose from
  }
}

function choose(path) {
  base = path;
  symbols = [];
}

async function refresh() {
  try {
    const [status, sessions] = [await call("GET", `${base}/sim/status`), await call("GET", "/sim/sessions")];
    if (failed) say("The simulator is back.", false);
    failed = "";
    showFacts(status);
    showScenarios(status);
    showMarket(status);
    showSessions(sessions);
    if (!symbols.length) {
      symbols = Object.keys(status.symbols);
      await loadMenu();
      if ($("state").textContent === "Loading…") say("", false);
    }
  } catch (error) {
    if (base) choose("");
    else if (failed !== error.message) say(`The simulator does not answer: ${failed = error.message}`, true);
  }
}

async function loop() {
  if (!document.hidden) await refresh();
  setTimeout(loop, PERIOD_MS);
}

$("menu").addEventListener("change", showForm);
$("where").addEventListener("change", (event) => { choose(event.target.value); refresh(); });
$("lie").addEventListener("submit", (event) => { event.preventDefault(); attempt(() => begin(event.target)); });
$("session").addEventListener("submit", (event) => { event.preventDefault(); attempt(() => openSession(event.target)); });
loadReplays();
loop();
