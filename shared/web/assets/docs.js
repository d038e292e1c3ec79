// Shows the openapi.json beside it and lets one try its calls. No library, no build step; texts are set as text, never as HTML.
"use strict";

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function resolve(schema, all) {
  return schema && schema.$ref ? all[schema.$ref.split("/").pop()] : schema || {};
}

// A body to start from: the declared example, else the required fields with a value of their type.
function example(schema, all) {
  const full = resolve(schema, all);
  if (full.examples) return full.examples[0];
  const sample = { string: "", number: 1, integer: 1, boolean: true, array: [], object: {} };
  const names = full.required || Object.keys(full.properties || {});
  return Object.fromEntries(names.map((name) => {
    const part = resolve(full.properties[name], all);
    return [name, part.examples ? part.examples[0] : part.default ?? sample[part.type] ?? null];
  }));
}

function field(parameter, form) {
  const label = element("label", `${parameter.name}${parameter.required ? " *" : ""} (${parameter.in}) `);
  const input = element("input");
  input.name = parameter.name;
  input.dataset.place = parameter.in;
  label.append(input, element("span", " " + (parameter.description || ""), "note"));
  form.append(label);
}

async function send(method, path, form, output) {
  const query = new URLSearchParams();
  const headers = {};
  let url = path;
  for (const input of form.querySelectorAll("input")) {
    if (input.dataset.place === "path") url = url.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.value && input.dataset.place === "query") query.set(input.name, input.value);
    else if (input.value) headers[input.name] = input.value;
  }
  const area = form.querySelector("textarea");
  if (area) headers["Content-Type"] = "application/json";
  try {
    const suffix = query.size ? "?" + query : "";
    const answer = await fetch(url + suffix, { method, headers, body: area ? area.value : undefined });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: as it came */ }
    output.textContent = `HTTP ${answer.status}\n${shown.slice(0, 20000)}`;
  } catch (error) {
    output.textContent = String(error);
  }
}

function call(path, method, operation, all) {
  const box = element("details");
  const head = element("summary");
  head.append(element("span", method.toUpperCase(), "method"), element("code", path), " " + operation.summary);
  const inside = element("div", "", "inside");
  if (operation["x-limit-per-minute"]) {
    inside.append(element("p", `${operation["x-limit-per-minute"]} calls a minute per client`, "note"));
  }
  const form = element("form");
  for (const parameter of operation.parameters) field(parameter, form);
  if (operation.requestBody) {
    const area = element("textarea");
    area.setAttribute("aria-label", "body");
    area.value = JSON.stringify(example(operation.requestBody.content["application/json"].schema, all), null, 2);
    form.append(area);
  }
  const output = element("pre", "", "answer");
  form.append(element("button", "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method.toUpperCase(), path, form, output);
  });
  inside.append(form, output);
  const answer = Object.values(operation.responses["200"].content)[0].schema;
  inside.append(element("p", "Answer", "note"), element("pre", JSON.stringify(resolve(answer, all), null, 2)));
  box.append(head, inside);
  return box;
}

async function main() {
  const address = new URL("openapi.json", location.href);
  const description = await (await fetch(address)).json();
  const base = new URL(description.servers[0].url, address).pathname.replace(/\/$/, ""); // a gateway may stand before us
  document.title = description.info.title;
  document.getElementById("title").textContent = `${description.info.title} ${description.info.version}`;
  document.getElementById("note").textContent = description.info.description;
  const calls = document.getElementById("calls");
  calls.replaceChildren();
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      calls.append(call(base + path, method, operation, description.components.schemas));
    }
  }
}

main();
