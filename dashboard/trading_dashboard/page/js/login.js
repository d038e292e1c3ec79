// The login, where the fleet asks for one: in place of the panels. No token comes to scripts: the answer sets a cookie.
import { el, labelled, reason, say } from "./parts.js";

/** Show the form, and above it why; `onLogin` once somebody has logged in. */
export function askForLogin(api, why, onLogin) {
  if (document.getElementById("login")) return;
  const said = el("p", { class: "note", role: "alert" });
  const username = el("input", { name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", maxlength: 254, required: true });
  const password = el("input", { name: "password", type: "password", autocomplete: "current-password", maxlength: 256, required: true });
  const send = el("button", { type: "submit", class: "main" }, "Log in");
  const form = el("form", {}, labelled("Name or e-mail address", username), labelled("Password", password), el("div", { class: "buttons" }, send));
  const hint = el("p", { class: "small" }, "Accounts are made at auth-gateway: by its administrator, or by POST /auth/register.");
  const place = el("main", { id: "login" }, el("section", { class: "panel" }, el("h2", {}, "Log in"), el("div", { class: "panel-body" }, said, form, hint)));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled) return;
    send.disabled = true;
    say(said, "");
    try {
      await api.post("/api/session", { username: username.value.trim(), password: password.value });
      place.remove();
      for (const part of document.querySelectorAll(".skip, #bar")) part.hidden = false;
      onLogin();
    } catch (error) {
      say(said, sentence(reason(error)));
      send.disabled = false;
      password.select();
    }
  });
  // Nothing of the fleet is seen behind the form, and nothing leads there.
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  for (const part of document.querySelectorAll(".skip, #bar, main, footer")) part.hidden = true;
  document.querySelector("header").after(place);
  say(said, why);
  username.focus();
}

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;
