// The page's head: what is looked at, where prices come from, whether they come at all, and the theme.
import { listings } from "./listings.js";
import { el, labelled, options, say } from "./parts.js";
import { symbolSearch } from "./symbol_search.js";

const INTERVALS = ["1m", "5m", "15m", "1h", "4h", "1d"];
const STATES = {
  connecting: "Connecting …",
  live: "The stream is live",
  lost: "The stream is lost: prices are old. Connecting again …",
  blocked: "No live prices: the services are there, but the connection to the stream fails. Something on the way may block it",
};
const WAY = { true: "WebSocket, which a login needs", false: "the stream's own address" };
const VENUE_MS = 15_000;

/** Fills the bar and keeps it true. */
export function head(bar, { api, live, store, page, listed, leave }) {
  const symbol = symbolSearch({
    names: listings(api), offered: () => listed.symbols, market: () => store.get("market"), chosen: () => store.get("symbol"),
    onTake: (value) => store.set("symbol", value),
  });
  const market = el("select", { name: "market" }, ...options([["spot", "spot"], ["futures", "futures"]]));
  const interval = el("select", { name: "interval" }, ...options(INTERVALS.map((one) => [one, one])));
  const theme = el("select", { name: "theme" }, ...options([["system", "system"], ["light", "light"], ["dark", "dark"]]));
  const venue = el("span", { class: "venue" });
  const state = el("span", { class: "stream", role: "status" });
  let blocked = false; // nothing is wrong but the way to the stream
  const controls = { market, interval, theme };
  bar.append(
    el("p", { class: "where" }, venue, state, page.login && el("span", {}, `Logged in as ${page.login.role}. `, el("button", { type: "button", class: "link", onclick: leave }, "Log out"))),
    el("form", { class: "choices", onsubmit: (event) => event.preventDefault() },
      symbol.element, labelled("Market", market), labelled("Interval", interval), labelled("Theme", theme)),
  );

  function paint() {
    symbol.paint();
    for (const [key, control] of Object.entries(controls)) control.value = store.get(key);
    const chosen = store.get("theme");
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
  }
  function paintState() {
    say(state, blocked ? `${STATES.blocked} (${WAY[Boolean(page.login)]}). Trying again …` : STATES[live.state]);
    state.className = `stream ${live.state}`;
  }
  const paintVenue = (data) => say(venue, data.venue ? `Prices from ${data.venue}${data.market_known ? "" : " (when last asked)"}` : "It isn't known where prices come from");

  for (const [key, control] of Object.entries(controls)) {
    control.addEventListener("change", () => store.set(key, control.value));
  }
  store.addEventListener("change", paint);
  function take({ data }) {
    paintVenue(data);
    listed.take(data.symbols);
  }

  // Away is what the dashboard can't reach either.
  live.addEventListener("failing", () => api.get("/api/page").then((answer) => {
    blocked = live.state === "lost" && answer.data.market_known;
    paintState();
  }, () => {}));
  live.addEventListener("state", () => {
    blocked &&= live.state === "lost";
    paintState();
    // The stream is back: what it could not say before is asked at once, not with the next turn.
    if (live.state === "live" && !listed.symbols.length) api.get("/api/page").then(take, () => {});
  });
  paint();
  paintState();
  paintVenue(page);
  api.poll("/api/page", VENUE_MS, take, () => {});
}
