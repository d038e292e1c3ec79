// Prices and quantities with as many decimals as the symbol's own numbers have: its tick, as far as it was seen.
import { NONE } from "./numbers.js";

const MOST = 10;
const forms = new Map();

function form(digits) {
  if (!forms.has(digits)) {
    forms.set(digits, new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return forms.get(digits);
}

/** Decimals of a number as JSON wrote it: 0.00001234 comes as 1.234e-5. */
export function decimals(value) {
  const [digits, exponent = "0"] = String(value).split("e");
  return Math.min(MOST, Math.max(0, (digits.split(".")[1] ?? "").length - Number(exponent)));
}

/** Remembers the most decimals that it was shown: numbers below each other then line up. */
export function ticks() {
  let most = 0;
  return {
    text(value) {
      if (typeof value !== "number" || !Number.isFinite(value)) return NONE;
      most = Math.max(most, decimals(value));
      return form(most).format(value);
    },
    /** A sum or a difference of such numbers: what it has beyond their decimals is the machine's. */
    made: (value) => form(most).format(value),
  };
}

const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });

/** "53 K": a volume, where only its size matters. */
export const size = (value) => (typeof value === "number" && Number.isFinite(value) ? short.format(value) : NONE);
