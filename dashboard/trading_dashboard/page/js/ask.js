// A dialog over the page: the browser holds the focus in it, Escape closes it, and the focus goes back.
import { el } from "./parts.js";

/** Show `content` under a heading until it is closed. Returns the dialog. */
export function show(title, content, ...buttons) {
  const close = el("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = opened(title, content, [...buttons, close]);
  return dialog;
}

/** Ask before something that reaches far. Resolves to true if it is wanted; refusing is what Enter does first. */
export function confirm(title, content, wanted) {
  return new Promise((resolve) => {
    let answer = false;
    const no = el("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Cancel");
    const yes = el("button", { type: "button", class: "danger", onclick: () => { answer = true; dialog.close(); } }, wanted);
    const dialog = opened(title, content, [no, yes]);
    dialog.addEventListener("close", () => resolve(answer));
  });
}

function opened(title, content, buttons) {
  const heading = el("h3", { id: "dialog-title" }, title);
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, heading, content, el("div", { class: "buttons" }, ...buttons));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
