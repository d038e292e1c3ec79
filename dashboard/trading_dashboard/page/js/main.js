// Mounts the head and the panels. One that fails says so in its own box and takes no other along.
import { api } from "./api.js";
import { head } from "./header.js";
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
  document.getElementById("bar").replaceChildren();
  const context = { api, live: connect(page.stream), store, page };
  head(document.getElementById("bar"), context);
  document.querySelectorAll(".panel").forEach((panel) => mount(panel, context));
}

async function mount(panel, context) {
  const body = panel.querySelector(".panel-body");
  try {
    const { mount: mountInto } = await import(`./panels/${panel.dataset.panel}.js`);
    mountInto(body, context);
  } catch (error) {
    console.error(error);
    body.replaceChildren(el("p", { class: "failed", role: "alert" }, `This panel failed: ${error.message}. Reload the page to try again.`));
  }
}

begin();
