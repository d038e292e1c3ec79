// The page's head: what is looked at, where prices come from, whether they come at all, and the theme.
import { el, labelled, options, say } from "./parts.js";

const INTERVALS = ["1m", "5m", "15m", "1h", "4h", "1d"];
const STATES = {
  connecting: "Connecting …",
  live: "The stream is live",
  lost: "The stream is lost: prices are old. Connecting again …",
};
const VENUE_MS = 15_000;

/** Fills the bar and keeps it true. */
export function head(bar, { api, live, store, page, listed, leave }) {
  const symbol = el("input", { name: "symbol", list: "listed", maxlength: 32, autocomplete: "off", spellcheck: "false", autocapitalize: "characters" });
  const market = el("select", { name: "market" }, ...options([["spot", "spot"], ["futures", "futures"]]));
  const interval = el("select", { name: "interval" }, ...options(INTERVALS.map((one) => [one, one])));
  const theme = el("select", { name: "theme" }, ...options([["system", "system"], ["light", "light"], ["dark", "dark"]]));
  const venue = el("span", { class: "venue" });
  const state = el("span", { class: "stream", role: "status" });
  const offered = el("datalist", { id: "listed" });
  const controls = { symbol, market, interval, theme };
  bar.append(
    el("p", { class: "where" }, venue, state, page.login && el("span", {}, `Logged in as ${page.login.role}. `, el("button", { type: "button", class: "link", onclick: leave }, "Log out"))),
    el("form", { class: "choices", onsubmit: (event) => event.preventDefault() },
      labelled("Symbol", symbol), offered, labelled("Market", market), labelled("Interval", interval), labelled("Theme", theme)),
  );

  function paint() {
    for (const [key, control] of Object.entries(controls)) if (document.activeElement !== control || key !== "symbol") control.value = store.get(key);
    const chosen = store.get("theme");
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
  }
  function paintState() {
    say(state, STATES[live.state]);
    state.className = `stream ${live.state}`;
  }
  const paintListed = () => offered.replaceChildren(...options(listed.symbols.map((one) => [one, one])));
  const paintVenue = (data) => say(venue, data.venue ? `Prices from ${data.venue}${data.market_known ? "" : " (when last asked)"}` : "It isn't known where prices come from");

  for (const [key, control] of Object.entries(controls)) {
    control.addEventListener("change", () => store.set(key, key === "symbol" ? control.value.trim().toUpperCase() : control.value));
  }
  symbol.addEventListener("blur", paint);
  store.addEventListener("change", paint);
  function take({ data }) {
    paintVenue(data);
    listed.take(data.symbols);
  }

  live.addEventListener("state", () => {
    paintState();
    // The stream is back: what it could not say before is asked at once, not with the next turn.
    if (live.state === "live" && !listed.symbols.length) api.get("/api/page").then(take, () => {});
  });
  listed.addEventListener("change", paintListed);
  paint();
  paintState();
  paintListed();
  paintVenue(page);
  api.poll("/api/page", VENUE_MS, take, () => {});
}
