// The white-hat verdict on a signal, in words. The rules are the fleet's: shared/whitehat.py.

const BROKEN = {
  leverage_above_3: "leverage above 3",
  confidence_below_65: "confidence below 65 %",
  stop_loss_required: "no stop-loss",
  real_order: "asks for a real order",
};

/** The rules that it breaks, as words; empty: none. */
export function broken(signal) {
  return (signal.violations ?? []).map((rule) => BROKEN[rule] ?? rule);
}

export function verdict(signal) {
  const rules = broken(signal);
  if (rules.length) return `Breaks: ${rules.join(", ")}`;
  return signal.compliant === false ? "Breaks a rule" : "Keeps the rules";
}
