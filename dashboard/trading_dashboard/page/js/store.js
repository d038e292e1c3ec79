// What was chosen: symbol, market and interval, in the address too, so that a link shows the same; and the theme.

const DEFAULTS = { symbol: "BTCUSDT", market: "spot", interval: "1m", theme: "system" };
const ALLOWED = {
  symbol: /^[\p{L}\p{N}_/-]{1,32}$/u,
  market: /^(spot|futures)$/,
  interval: /^\d{1,2}[smhdwM]$/,
  theme: /^(system|light|dark)$/,
};
const IN_ADDRESS = ["symbol", "market", "interval"];

class Store extends EventTarget {
  #values = { ...DEFAULTS };

  constructor() {
    super();
    for (const key of Object.keys(DEFAULTS)) this.#take(key, kept(key));
    this.#readAddress();
    window.addEventListener("hashchange", () => this.#readAddress());
  }

  get(key) {
    return this.#values[key];
  }

  /** Choose; what is no such value is ignored. The event "change" has the key as `detail.key`. */
  set(key, value) {
    if (!this.#take(key, value)) return;
    keep(key, value);
    if (IN_ADDRESS.includes(key)) history.replaceState(null, "", `#${this.#address()}`);
    this.dispatchEvent(new CustomEvent("change", { detail: { key } }));
  }

  #take(key, value) {
    if (typeof value !== "string" || !ALLOWED[key].test(value) || this.#values[key] === value) return false;
    this.#values[key] = value;
    return true;
  }

  #address() {
    return new URLSearchParams(IN_ADDRESS.map((key) => [key, this.#values[key]]));
  }

  #readAddress() {
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
      if (IN_ADDRESS.includes(key)) this.set(key, value);
    }
  }
}

function kept(key) {
  try {
    return localStorage.getItem(`chosen.${key}`);
  } catch {
    return null; // storage is forbidden: nothing is kept
  }
}

function keep(key, value) {
  try {
    localStorage.setItem(`chosen.${key}`, value);
  } catch {
    // forbidden or full: it holds until the page is left
  }
}

export const store = new Store();
