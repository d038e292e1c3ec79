// Mounts the head and the panels. One that fails says so in its own box and takes no other along.
import { api } from "./api.js";
import { head } from "./header.js";
import { Listed } from "./listed.js";
import { connect } from "./live.js";
import { el } from "./parts.js";
import { store } from "./store.js";

const AGAIN_MS = 3000;

async function begin() {
  let page;
  try {
    page = (await api.get("/api/page")).data;
  } catch (error) {
    document.getElementById("bar").textContent = `Waiting for the dashboard's service: ${error.message}`;
    return setTimeout(begin, AGAIN_MS);
  }
  const panels = [...document.querySelectorAll(".panel")];
  const modules = await Promise.all(panels.map((panel) => import(`./panels/${panel.dataset.panel}.js`).catch((error) => ({ error }))));
  const context = { api, live: connect(page.stream), store, page, listed: new Listed(page.symbols) };
  // All at once: panels that came one after the other would push each other about.
  document.getElementById("bar").replaceChildren();
  for (const part of document.querySelectorAll("main, footer")) part.hidden = false;
  head(document.getElementById("bar"), context);
  panels.forEach((panel, place) => mount(panel, modules[place], context));
}

function mount(panel, module, context) {
  const body = panel.querySelector(".panel-body");
  try {
    if (module.error) throw module.error;
    module.mount(body, context);
  } catch (error) {
    console.error(error);
    body.replaceChildren(el("p", { class: "failed", role: "alert" }, `This panel failed: ${error.message}. Reload the page to try again.`));
  }
}

begin();
