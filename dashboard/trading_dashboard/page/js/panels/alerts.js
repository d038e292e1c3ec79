// Alerts on prices: set here, watched by websocket-streaming while this page is closed, too; what fired is kept with its time.
import { isOfSubscription } from "../live.js";
import { clock, moment, number } from "../numbers.js";
import { el, fill, labelled, options, reason, say } from "../parts.js";
import { alertBook, randomHex } from "./alert_book.js";

const PATIENCE_MS = 5000; // to wait for what becomes of a wish

export function mount(element, { live, store }) {
  const book = alertBook(localStorage);
  const token = book.token();
  const form = alertForm(store);
  const said = el("p", { class: "note", role: "status" });
  const bell = el("p", { class: "bell", role: "status" }); // what has fired, spoken at once
  const armed = el("ul", { class: "runs" });
  const fired = el("ul", { class: "runs" });
  element.append(form.element, said, bell, el("h3", {}, "Waiting"), armed, el("h3", {}, "Fired"), fired,
    el("p", { class: "small" }, "Each fires once. The service forgets them a day after this page was last open; what this browser wanted is then set again."));
  let patience = 0;
  let pending = null; // the name of the alert whose answer is waited for
  const confirmed = new Set(); // names that the service said it holds

  function paint() {
    const wanted = book.wanted();
    fill(armed, wanted.length ? wanted : [null], (one) => one?.name ?? "none", (one) => row(one, () => remove(one)), (node, one) => {
      if (one) say(node.firstChild, `${condition(one)}${confirmed.has(one.name) ? "" : " (not yet with the service)"}`);
    });
    const done = book.fired();
    fill(fired, done.length ? done : [null], (one) => one?.name ?? "none", (one) => row(one, () => dismiss(one)), (node, one) => {
      if (one) say(node.firstChild, `${moment(one.fired_at)} UTC: ${outcome(one)}`);
    });
  }

  function wait(name, words) {
    say(said, words);
    clearTimeout(patience);
    pending = name;
    patience = setTimeout(() => say(said, "The service has not answered. The alert is kept here and set once it does."), PATIENCE_MS);
  }

  function answered(words) {
    clearTimeout(patience);
    pending = null;
    say(said, words);
  }

  function set(alert) {
    book.want(alert);
    paint();
    if (live.state !== "live") return answered("Not connected: it will be set as soon as the connection is back.");
    wait(alert.name, "Setting it …");
    return live.emit("alert", { token, ...alert });
  }

  function remove(alert) {
    book.forget(alert.name);
    confirmed.delete(alert.name);
    live.emit("alert_remove", { token, name: alert.name });
    answered(`Removed: ${condition(alert)}`);
    paint();
  }

  function dismiss(alert) {
    book.forgetFired(alert.name);
    live.emit("alert_remove", { token, name: alert.name });
    paint();
  }

  function onFired(alert) {
    confirmed.delete(alert.name);
    if (book.note(alert)) say(bell, `Alert at ${clock(alert.fired_at)} UTC: ${outcome(alert)}`);
    paint();
  }

  /** What the service holds; what it lost with a restart, or after a day, is set again. */
  function onList({ alerts }) {
    confirmed.clear();
    for (const alert of alerts) {
      if (alert.fired) onFired(alert);
      else {
        confirmed.add(alert.name);
        book.want(wish(alert));
      }
    }
    const lost = book.wanted().filter((one) => !confirmed.has(one.name));
    for (const alert of lost) live.emit("alert", { token, ...alert });
    if (lost.length) answered(`${lost.length === 1 ? "One alert was" : `${lost.length} alerts were`} not with the service, and set again.`);
    paint();
  }

  function onSet(alert) {
    confirmed.add(alert.name);
    answered(`Set: ${condition(alert)}`);
    paint();
  }

  // The service doesn't say which alert an error is about: it is taken for the one that waits for its answer.
  function onError(error) {
    if (!pending || isOfSubscription(error)) return;
    if (error.code !== "upstream_unavailable") book.forget(pending); // else it is set with the next connection
    answered(`Not set: ${reason(error)}`);
    paint();
  }

  const hello = () => {
    if (live.state === "live") live.emit("alerts", { token });
    else confirmed.clear();
    paint();
  };
  const onStorage = (event) => book.owns(event.key) && paint();
  const offs = [
    live.on("alert", onFired), live.on("alerts", onList), live.on("alert_set", onSet), live.on("error", onError),
  ];
  live.addEventListener("state", hello);
  window.addEventListener("storage", onStorage);
  form.onWish = (alert) => (book.isFull() ? answered("There are 50 alerts already: remove one.") : set(alert));
  hello();
  return () => {
    clearTimeout(patience);
    offs.forEach((off) => off());
    live.removeEventListener("state", hello);
    window.removeEventListener("storage", onStorage);
    form.stop();
  };
}

function alertForm(store) {
  const symbol = el("input", { name: "symbol", required: true, maxlength: 32, autocomplete: "off", spellcheck: "false", autocapitalize: "characters" });
  const market = el("select", { name: "market" }, ...options([["spot", "spot"], ["futures", "futures"]]));
  const kind = el("select", { name: "kind" }, ...options([["crosses", "price reaches"], ["move_pct", "price moves by %"]]));
  const level = el("input", { name: "level", type: "number", min: 0, step: "any", required: true });
  const minutes = el("input", { name: "minutes", type: "number", min: 1, max: 60, step: 1, value: 5, required: true });
  const within = labelled("Within minutes", minutes);
  const levelLabel = labelled("Price", level);
  const element = el("form", { class: "filters" },
    labelled("Symbol", symbol), labelled("Market", market), labelled("When", kind), levelLabel, within,
    el("div", { class: "buttons" }, el("button", { type: "submit", class: "main" }, "Set alert")));
  const made = { element, onWish: () => {}, stop: () => store.removeEventListener("change", take) };

  function take() {
    symbol.value = store.get("symbol") ?? symbol.value;
    market.value = store.get("market") ?? "spot";
  }
  function shape() {
    within.hidden = kind.value !== "move_pct";
    minutes.disabled = within.hidden;
    say(levelLabel.firstChild, kind.value === "move_pct" ? "Percent" : "Price");
  }

  element.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = Number(level.value);
    const met = kind.value === "crosses" ? { crosses: value } : { move_pct: value, window_s: Number(minutes.value) * 60 };
    made.onWish({ name: `page-${randomHex(6)}`, symbol: symbol.value.trim().toUpperCase(), market: market.value, ...met });
    level.value = "";
  });
  kind.addEventListener("change", shape);
  store.addEventListener("change", take);
  take();
  shape();
  return made;
}

function wish({ name, symbol, market, crosses, move_pct, window_s }) {
  return crosses === undefined ? { name, symbol, market, move_pct, window_s } : { name, symbol, market, crosses };
}

const where = (alert) => `${alert.symbol}${alert.market === "futures" ? " futures" : ""}`;

function condition(alert) {
  if (alert.crosses !== undefined) return `${where(alert)} reaches ${number(alert.crosses)}`;
  return `${where(alert)} moves by ${number(alert.move_pct)} % within ${number(alert.window_s / 60)} min`;
}

function outcome(alert) {
  const change = alert.change_pct === undefined ? "" : `, ${alert.change_pct > 0 ? "+" : ""}${alert.change_pct.toFixed(2)} %`;
  return `${condition(alert)}; it was ${number(alert.price)}${change}`;
}

function row(one, onRemove) {
  if (!one) return el("li", { class: "none" }, "none");
  return el("li", {}, el("span"), el("button", { type: "button", "aria-label": `Remove ${condition(one)}`, onclick: onRemove }, "Remove"));
}
