// Mounts the head and the panels. One that fails says so in its own box and takes no other along.
import { api } from "./api.js";
import { head } from "./header.js";
import { Listed } from "./listed.js";
import { connect } from "./live.js";
import { askForLogin } from "./login.js";
import { el, reason } from "./parts.js";
import { store } from "./store.js";

const AGAIN_MS = 3000;

async function begin(why = "") {
  let page;
  api.over = () => askForLogin(api, why, () => begin("You are logged in, but this browser did not keep the cookie that says so."));
  try {
    page = (await api.get("/api/page")).data;
  } catch (error) {
    if (error.status === 401) return;
    document.getElementById("bar").textContent = `Waiting for the dashboard's service: ${error.message}`;
    setTimeout(begin, AGAIN_MS);
    return;
  }
  const panels = [...document.querySelectorAll(".panel")];
  const modules = await Promise.all(panels.map((panel) => import(`./panels/${panel.dataset.panel}.js`).catch((error) => ({ error }))));
  const context = { api, live: connect(page), store, page, listed: new Listed(page.symbols), leave };
  // Whoever logs in next, the page begins anew: nothing that another one was shown stays.
  function end(why) {
    context.live.close();
    askForLogin(api, why, () => location.reload());
  }
  async function leave() {
    api.over = () => {}; // other calls may hear of it first
    await api.delete("/api/session").then(() => end("You are logged out."), (error) => end(`You are logged out here: ${reason(error)}.`));
  }
  api.over = () => end("Your session is over: it was ended elsewhere, or has lasted its time.");
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
