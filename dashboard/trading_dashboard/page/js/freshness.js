// One line in each panel that says from when its numbers are, and, once they are old, how old and why.
import { clock, span } from "./numbers.js";
import { el, reason, say } from "./parts.js";

/**
 * `panel` gets the class `old` while `what` could not be asked. `limit_ms`: without an answer for so long the numbers
 * are old even though nobody said that anything is wrong; Infinity where the service itself says what is stale.
 */
export function freshness(panel, what, limit_ms) {
  const text = el("span");
  const spoken = el("span", { class: "unseen", role: "status" }); // changes of state only, not every second
  const element = el("p", { class: "fresh" }, text, spoken);
  let answered = 0;
  let wrong = "";
  let lost = ""; // the connection is, whatever came over it last
  let absent = ""; // there is nothing that could come
  let isOld = false;
  let painted = 0;

  function paint() {
    const age_ms = Date.now() - answered;
    const why = lost || wrong;
    const old = Boolean(why || absent) || (answered > 0 && age_ms > limit_ms);
    isOld = old;
    painted = Date.now();
    const since = `as of ${clock(answered)} UTC`;
    panel.classList.toggle("old", old);
    if (absent && !lost) return say(text, absent);
    if (!old) return say(text, answered ? since : "Loading …");
    const lead = answered ? `Old: ${since}, ${span(age_ms / 1000)} old.` : "Nothing was received yet.";
    return say(text, `${lead} ${why || absent || `${what} has not answered`}`);
  }

  function right() {
    if (wrong) say(spoken, `${what} answers again.`);
    wrong = "";
  }

  const timer = setInterval(paint, 1000);
  paint();
  return {
    element,
    ok(received_ms = Date.now()) {
      right();
      answered = received_ms;
      absent = "";
      if (isOld || Date.now() - painted > 500) paint(); // updates come hundreds of times a second, the text has seconds
    },
    failed(error) {
      if (!wrong) say(spoken, reason(error));
      wrong = reason(error);
      paint();
    },
    /** What was last received holds again, though nothing newer came: a market may be quiet. */
    holds() {
      right();
      paint();
    },
    /** The connection is lost, or with "" there again. */
    connection(words) {
      if (words !== lost) say(spoken, words || "Connected again.");
      lost = words;
      paint();
    },
    /** There is no such thing: said instead of an age, until something comes or another thing is asked for. */
    absent(words) {
      if (absent !== words) say(spoken, words);
      absent = words;
      paint();
    },
    /** Another thing is shown from now on. */
    reset() {
      answered = 0;
      wrong = "";
      absent = "";
      paint();
    },
    stop: () => clearInterval(timer),
  };
}
