// The form of one scenario, made from what /sim/scenarios says about its parameters.
import { el, labelled, options } from "../parts.js";

/** One field of `params`, as its JSON schema has it; `read()` is undefined where it is left empty. */
function field(name, schema) {
  const kind = schema.anyOf ? schema.anyOf.find((one) => one.type !== "null") : schema;
  const words = named(name);
  const about = el("small", {}, schema.description ?? "");
  if (kind.enum) {
    const select = el("select", { name }, ...options(kind.enum.map((value) => [JSON.stringify(value), value])));
    if (schema.default !== undefined) select.value = JSON.stringify(schema.default);
    return { name, element: labelled(words, select, about), read: () => JSON.parse(select.value) };
  }
  const numeric = kind.type === "number" || kind.type === "integer";
  const input = el("input", {
    name, autocomplete: "off", type: numeric ? "number" : "text", step: kind.type === "integer" ? 1 : "any",
    min: kind.minimum ?? (kind.exclusiveMinimum === undefined ? null : kind.exclusiveMinimum), max: kind.maximum, maxlength: kind.maxLength,
    required: schema.default === undefined, placeholder: name === "stream" ? "btcusdt@trade" : null,
  });
  if (schema.default !== undefined && schema.default !== null) input.value = schema.default;
  const read = () => (input.value === "" ? undefined : numeric ? Number(input.value) : input.value);
  return { name, element: labelled(words, input, about), read };
}

const UNITS = { pct: "%", ms: "ms" };

/** A parameter's name for people. */
export function named(name) {
  const words = name.split("_");
  const unit = UNITS[words.at(-1)];
  return unit ? `${words.slice(0, -1).join(" ")} (${unit})` : words.join(" ");
}

/** `symbols` are those that can be chosen, `chosen` the one to begin with. `read()` is the body of POST /sim/scenario. */
export function scenarioForm(scenario, symbols, chosen) {
  const market = scenario.markets.length > 1 ? el("select", { name: "market" }, ...options(scenario.markets.map((one) => [one, one]))) : null;
  const symbol = scenario.symbol === "none" ? null : symbolSelect(scenario, symbols, chosen);
  const duration = scenario.default_duration_s === null ? null
    : el("input", { name: "duration_s", type: "number", min: 1, max: 3600, step: "any", required: true, value: scenario.default_duration_s });
  const fields = Object.entries(scenario.params).map(([name, schema]) => field(name, schema));
  const elements = [
    symbol && labelled("Symbol", symbol), market && labelled("Market", market), duration && labelled("Seconds", duration),
    ...fields.map((one) => one.element),
  ];

  function read() {
    const body = { name: scenario.name, params: {} };
    if (market) body.market = market.value;
    if (symbol?.value) body.symbol = symbol.value;
    if (duration) body.duration_s = Number(duration.value);
    for (const one of fields) {
      const value = one.read();
      if (value !== undefined) body.params[one.name] = value;
    }
    return body;
  }
  return { elements: elements.filter(Boolean), read };
}

function symbolSelect(scenario, symbols, chosen) {
  const all = scenario.symbol === "optional" ? [["", "all"]] : [];
  const select = el("select", { name: "symbol" }, ...options([...all, ...symbols.map((name) => [name, name])]));
  if (symbols.includes(chosen)) select.value = chosen;
  return select;
}

/** Whether it reaches every client and not one symbol alone. */
export function reachesAll(body) {
  return !body.symbol;
}
