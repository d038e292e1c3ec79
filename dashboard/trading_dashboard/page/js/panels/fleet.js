// How each service is, in words, and, where one is away, which panels are old for that.
import { freshness } from "../freshness.js";
import { number, span } from "../numbers.js";
import { el, fill, pairs, say } from "../parts.js";

const PERIOD_MS = 2000;
const STATES = { ready: "Ready", degraded: "Degraded", down: "Down" };
const FED = { // the panels that a service's numbers come to
  "database-service": "signals, performance, calibration",
  "websocket-streaming": "prices, chart, depth, tape, alerts",
  "market-simulator": "simulator, and with it every price",
};
const FIGURES = ["Up for", "Dependencies", "Requests", "Errors", "Memory", "Processor", "Answered in"];

export function mount(element, { api, page }) {
  const fresh = freshness(element, "The dashboard's own service", 3 * PERIOD_MS);
  const spoken = el("p", { class: "unseen", role: "status" });
  const summary = el("p", { class: "note" });
  const cards = el("ul", { class: "services" });
  element.append(fresh.element, summary, spoken, cards);
  const known = new Map();

  function paint(data) {
    fresh.ok();
    fill(cards, data.services, (service) => service.name, (service) => card(service, page.links), update);
    const away = data.services.filter((service) => service.state !== "ready");
    say(summary, away.length ? away.map((service) => `${service.title} is ${STATES[service.state].toLowerCase()}.`).join(" ") : "Every service is ready.");
    const changes = data.services.filter((service) => known.has(service.name) && known.get(service.name) !== service.state);
    if (changes.length) say(spoken, changes.map((service) => `${service.title}: ${STATES[service.state]}.`).join(" "));
    data.services.forEach((service) => known.set(service.name, service.state));
  }

  const stop = api.poll("/api/fleet", PERIOD_MS, (answer) => paint(answer.data), fresh.failed);
  return () => {
    stop();
    fresh.stop();
  };
}

// Through the door every service has a path, but for the gateway itself, whose page describes all calls.
const DOCS = {
  door: ({ service }) => new URL(service === "auth-gateway" ? "../api/docs" : `../api/${service}/docs`, document.baseURI),
  ports: ({ port }) => `${location.protocol}//${location.hostname}:${port}/docs`,
};

function card(service, links) {
  return el("li", { class: "service" },
    el("h3", {}, service.title), el("p", { class: "state" }), el("p", { class: "why" }),
    el("dl", { class: "facts" }, ...pairs(FIGURES.map((name) => [name, "–"]))),
    links && el("a", { href: DOCS[links](service), rel: "noreferrer", target: "_blank" }, `API of ${service.title}`));
}

function update(node, service) {
  const [, state, why, list] = node.children;
  node.className = `service ${service.state}`;
  say(state, STATES[service.state]);
  say(why, reasons(service));
  const values = figures(service);
  [...list.querySelectorAll("dd")].forEach((cell, place) => say(cell, values[place]));
}

function reasons(service) {
  if (service.state !== "down") return troubles(service.dependencies);
  const seen = service.last_seen ? `last seen ${span((Date.now() - Date.parse(service.last_seen)) / 1000)} ago` : "never seen";
  const old = FED[service.name] ? ` Old now: ${FED[service.name]}.` : "";
  return `${service.detail || "not healthy"}; ${seen}.${old}`;
}

function troubles(dependencies) {
  const bad = Object.entries(dependencies).filter(([, one]) => one.status !== "healthy");
  return bad.map(([name, one]) => `${name} ${one.status}${one.detail ? `: ${one.detail}` : ""}`).join("; ");
}

function figures(service) {
  const { rates, dependencies } = service;
  const names = Object.entries(dependencies).map(([name, one]) => `${name} ${one.status}`);
  const per_s = (value) => (rates ? `${number(value)} / s` : "–");
  const memory = service.memory_mb === null ? "–" : `${Math.round(service.memory_mb)} of ${service.max_memory_mb} MB`;
  return [
    span(service.uptime_seconds), service.health ? names.join(", ") || "none" : "–", per_s(rates?.requests_per_s), errors(rates), memory,
    rates?.cpu_pct === null || !rates ? "–" : `${rates.cpu_pct.toFixed(1)} %`,
    service.answered_in_ms === null ? "–" : `${service.answered_in_ms} ms`,
  ];
}

function errors(rates) {
  return rates ? `${number(rates.failed_per_s)} / s, refused ${number(rates.refused_per_s)} / s` : "–";
}
