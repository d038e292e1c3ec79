// Numbers and moments of stored things as texts. What is undefined is a dash, never 0 or NaN.

export const NONE = "–";

const amounts = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero" });
const ratios = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 10 });

const known = (value) => typeof value === "number" && Number.isFinite(value);

export const amount = (value) => (known(value) ? amounts.format(value) : NONE);
export const ratio = (value) => (known(value) ? ratios.format(value) : NONE);
export const number = (value) => (known(value) ? plain.format(value) : NONE);
export const percent = (value, digits = 1) => (known(value) ? `${value.toFixed(digits)} %` : NONE);
export const share = (value, digits = 1) => (known(value) ? percent(value * 100, digits) : NONE);

/** "2026-11-28 03:04:05" of an ISO moment or of milliseconds; UTC. */
export function moment(value) {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? NONE : date.toISOString().slice(0, 19).replace("T", " ");
}

/** "11-28 03:04:05"; with its year if that isn't this one. */
export function short(value) {
  const text = moment(value);
  return text.startsWith(String(new Date().getUTCFullYear())) ? text.slice(5) : text;
}

export const clock = (value) => (value ? moment(value).slice(11) : NONE);

/** "42 s", "3 min 5 s", "2 h 10 min", "4 d 3 h". */
export function span(seconds) {
  if (!known(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor(whole / 3600) % 24} h`;
}
