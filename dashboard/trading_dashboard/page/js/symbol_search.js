// The field for a symbol, with a list of those that are meant: typed, by arrows and Enter, or by a click. (ARIA's combobox.)
import { matching } from "./listings.js";
import { el, reason, say } from "./parts.js";

const SHOWN = 50; // of some thousands: whoever wants another one types a letter more

/**
 * `names(market)`: a promise of all symbols; `offered()`: those that come first, and serve alone while the others can't be
 * had; `market()`: on which; `chosen()`: what stands in the field while nobody types; `onTake(symbol)`.
 */
export function symbolSearch({ names, offered, market, chosen, onTake }) {
  const input = el("input", {
    name: "symbol", maxlength: 32, autocomplete: "off", spellcheck: "false", autocapitalize: "characters", role: "combobox",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "found-symbols",
  });
  const list = el("ul", { id: "found-symbols", role: "listbox", "aria-label": "Symbols" });
  const said = el("p", { class: "small", role: "status" });
  const popup = el("div", { class: "found", hidden: true }, list, said);
  const element = el("div", { class: "search" }, el("label", {}, el("span", {}, "Symbol"), input), popup);
  let edited = false; // what stands there was typed, not chosen
  let active = -1;
  let turn = 0; // the answer of an earlier one comes too late

  const typed = () => input.value.trim().toUpperCase();
  const isOpen = () => !popup.hidden;

  async function open() {
    const mine = ++turn;
    show(offered(), isOpen() ? said.textContent : "Loading the others …");
    popup.hidden = false;
    input.setAttribute("aria-expanded", "true");
    let all = offered();
    let wrong = "";
    try {
      all = await names(market());
    } catch (error) {
      wrong = `The others can't be had: ${reason(error)}`;
    }
    if (mine === turn && isOpen()) show(all, wrong);
  }

  function show(all, words) {
    const found = matching(all, offered(), edited ? typed() : "");
    list.replaceChildren(...found.slice(0, SHOWN).map((name, place) => el("li", { id: `found-${place}`, role: "option" }, name)));
    list.hidden = !found.length;
    say(said, words || (found.length > SHOWN ? `${SHOWN} of ${found.length}: type to see others` : counted(found.length)));
    point(edited && typed() && found.length ? 0 : -1);
  }

  function counted(number) {
    if (number) return number === 1 ? "One symbol" : `${number} symbols`;
    return `No symbol of the ${market()} market is called so`;
  }

  function point(place) {
    active = place;
    [...list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === place)));
    if (place < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", `found-${place}`);
    return list.children[place].scrollIntoView({ block: "nearest" });
  }

  function close() {
    turn += 1;
    popup.hidden = true;
    input.setAttribute("aria-expanded", "false");
    point(-1);
  }

  function take(symbol) {
    close();
    edited = false;
    if (symbol) onTake(symbol);
    input.value = chosen();
  }

  const meant = () => list.children[active]?.textContent ?? (edited ? typed() : chosen());

  function step(by) {
    if (!isOpen()) return open();
    const count = list.children.length;
    return count ? point((active + by + (active < 0 && by < 0 ? 1 : 0) + count) % count) : undefined;
  }

  const KEYS = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Enter: () => take(meant()),
    Escape: () => take(""),
  };
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || !(event.key in KEYS)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  input.addEventListener("input", () => {
    edited = true;
    open();
  });
  input.addEventListener("click", () => isOpen() || open());
  input.addEventListener("focus", () => input.select());
  input.addEventListener("blur", () => take(edited ? meant() : ""));
  popup.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the field
  list.addEventListener("click", (event) => take(event.target.closest("li")?.textContent ?? ""));
  input.value = chosen();
  return {
    element,
    /** Something else was chosen elsewhere. */
    paint: () => edited || (input.value = chosen()),
  };
}
