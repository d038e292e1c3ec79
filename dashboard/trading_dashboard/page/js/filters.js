// The filter of a list of signals or trades: a form that folds away and says in its heading what it lets through.
import { el, labelled } from "./parts.js";

const FIELDS = {
  symbol: { label: "Symbol", maxlength: 32, upper: true, autocapitalize: "characters" },
  signal_type: { label: "Type", maxlength: 32, upper: true, list: ["BUY", "SELL", "HOLD"] },
  strategy: { label: "Strategy", maxlength: 64 },
  bot_id: { label: "Bot", maxlength: 64 },
  min_confidence: { label: "Confidence from (%)", type: "number", min: 0, max: 100, step: "any" },
  from: { label: "From (UTC)", type: "datetime-local" },
  to: { label: "Before (UTC)", type: "datetime-local" },
};

const SENT = {
  min_confidence: (value) => String(Number(value) / 100),
  from: (value) => `${value}Z`,
  to: (value) => `${value}Z`,
};

let made = 0; // ids of the lists of proposals are the page's

/** `names` of FIELDS; `onChange` is called when another filter is applied. */
export function filters(names, onChange) {
  const inputs = names.map((name) => [name, control(name)]);
  const summary = el("summary", {}, "Filter: everything");
  const form = el("form", { class: "filters" }, ...inputs.map(([name, input]) => labelled(FIELDS[name].label, input.box)));
  form.append(el("div", { class: "buttons" }, el("button", { type: "submit" }, "Apply"), el("button", { type: "reset" }, "Clear")));
  let applied = [];

  function apply() {
    applied = inputs.map(([name, input]) => [name, read(name, input.field)]).filter(([, value]) => value !== "");
    const words = applied.map(([name, value]) => `${FIELDS[name].label} ${name in SENT ? value.replace("T", " ") : value}`);
    summary.textContent = `Filter: ${words.join(", ") || "everything"}`;
    onChange();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  form.addEventListener("reset", () => setTimeout(apply)); // the fields are emptied after this event
  return {
    element: el("details", { class: "filter" }, summary, form),
    /** As a query of database-service. */
    query: () => new URLSearchParams(applied.map(([name, value]) => [name, SENT[name]?.(value) ?? value])),
  };
}

function control(name) {
  const { label, list, upper, ...attributes } = FIELDS[name];
  const field = el("input", { name, autocomplete: "off", spellcheck: "false", ...attributes });
  if (!list) return { field, box: field };
  const id = `proposals-${++made}`;
  field.setAttribute("list", id);
  const proposals = el("datalist", { id }, ...list.map((value) => el("option", { value })));
  return { field, box: el("span", {}, field, proposals) };
}

function read(name, field) {
  const value = field.value.trim();
  return FIELDS[name].upper ? value.toUpperCase() : value;
}
