// One line in each panel that says from when its numbers are, and, once they are old, how old and why.
import { clock, span } from "./numbers.js";
import { el, reason, say } from "./parts.js";

/**
 * `panel` gets the class `old` while `what` could not be asked. `limit_ms`: without an answer for so long the numbers
 * are old even though nobody said that anything is wrong.
 */
export function freshness(panel, what, limit_ms) {
  const text = el("span");
  const spoken = el("span", { class: "unseen", role: "status" }); // changes of state only, not every second
  const element = el("p", { class: "fresh" }, text, spoken);
  let answered = 0;
  let wrong = "";
  let isOld = false;
  let painted = 0;

  function paint() {
    const age_ms = Date.now() - answered;
    const old = Boolean(wrong) || (answered > 0 && age_ms > limit_ms);
    isOld = old;
    painted = Date.now();
    const since = answered ? `as of ${clock(answered)} UTC` : "nothing was received yet";
    panel.classList.toggle("old", old);
    if (!old) return say(text, answered ? since : "Loading …");
    const age = answered ? `, ${span(age_ms / 1000)} old` : "";
    return say(text, `Old: ${since}${age}. ${wrong || `${what} has not answered`}`);
  }

  const timer = setInterval(paint, 1000);
  paint();
  return {
    element,
    ok(received_ms = Date.now()) {
      if (wrong) say(spoken, `${what} answers again.`);
      answered = received_ms;
      wrong = "";
      if (isOld || Date.now() - painted > 500) paint(); // updates come hundreds of times a second, the text has seconds
    },
    failed(error) {
      if (!wrong) say(spoken, reason(error));
      wrong = reason(error);
      paint();
    },
    stop: () => clearInterval(timer),
  };
}
