// Bars in the order of their time, each time once.

/** Put `one` into `bars`. Returns "last" (it is the newest), "within" (it replaces or fills in an older one), or "" (before all). */
export function put(bars, one) {
  if (!bars.length || one.time > bars.at(-1).time) {
    bars.push(one);
    return "last";
  }
  if (one.time < bars[0].time) return "";
  let place = bars.length - 1; // late ones are hardly ever far back
  while (bars[place].time > one.time) place -= 1;
  if (bars[place].time === one.time) bars[place] = one;
  else bars.splice(place + 1, 0, one);
  return bars.at(-1) === one ? "last" : "within";
}
