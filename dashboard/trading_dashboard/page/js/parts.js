// Small pieces that several panels are built from. Texts are set as text, never as HTML.

/** An element; attributes that are null or false are left out, `on…` are listeners. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

/** Write a text only where it differs: no needless layout, and nothing is announced twice. */
export function say(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

/** Children by key: `make(item)` builds a new one, `update(node, item)` writes into it. A focused button stays focused. */
export function fill(parent, items, key, make, update) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const wanted = items.map((item) => {
    const name = String(key(item));
    const node = old.get(name) ?? make(item);
    node.dataset.key = name;
    old.delete(name);
    update?.(node, item);
    return node;
  });
  for (const gone of old.values()) gone.remove();
  wanted.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
}

/** A table that scrolls by itself where the screen is narrow; by keyboard, too. */
export function table(caption, columns, body) {
  const head = el("tr", {}, ...columns.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)));
  const made = el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, head), body);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, made);
}

/** Pairs of name and value. */
export function pairs(entries) {
  return entries.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

/** A labelled input or select: the label above it, what it means below. */
export function labelled(text, control, about) {
  return el("label", {}, el("span", {}, text), control, about);
}

export function options(values) {
  return values.map(([value, text]) => el("option", { value }, text));
}

/** What the service says is wrong, by field where it names them. */
export function reason(error) {
  const fields = (error.details ?? []).map((one) => `${one.field}: ${one.message}`);
  return fields.join("; ") || error.message;
}
