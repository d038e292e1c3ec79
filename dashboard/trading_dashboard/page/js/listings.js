// Every symbol that the exchange lists on a market: asked for when first wanted, and again when that was long ago.

const LASTS_MS = 600_000;

/** Returns `names(market)`: all of them in order; it rejects while they can't be had. What was had before serves on. */
export function listings(api) {
  const kept = new Map(); // market → its names, and when they were asked for

  return async function names(market) {
    const held = kept.get(market);
    if (held && Date.now() - held.asked < LASTS_MS) return held.names;
    try {
      const answer = await api.get(`/api/websocket-streaming/symbols/listed?market=${market}`);
      kept.set(market, { names: answer.data.symbols, asked: Date.now() });
    } catch (error) {
      if (!held) throw error;
    }
    return kept.get(market).names;
  };
}

/** What has `typed` in its name: the very one, then those that begin with it; within each the `offered` ones first. */
export function matching(names, offered, typed) {
  const listed = new Set(names);
  const ranks = [[], [], []];
  for (const name of new Set([...offered.filter((one) => listed.has(one)), ...names])) {
    const place = name.indexOf(typed);
    if (place >= 0) ranks[name === typed ? 0 : place === 0 ? 1 : 2].push(name);
  }
  return ranks.flat();
}
