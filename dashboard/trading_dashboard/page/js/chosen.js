// What several panels show together: one symbol of one market. A change ends what was and begins anew.

/** `begin(choice)` starts with {symbol, market, interval} and returns how to end; `keys`: what it depends on. */
export function whileChosen(store, keys, begin) {
  const read = () => ({ symbol: store.get("symbol"), market: store.get("market"), interval: store.get("interval") });
  let end = begin(read());
  const onChange = (event) => {
    if (!keys.includes(event.detail.key)) return;
    end();
    end = begin(read());
  };
  store.addEventListener("change", onChange);
  return () => {
    store.removeEventListener("change", onChange);
    end();
  };
}

/** Tells `fresh` whether the connection is there. Returns how to end. */
export function whileLive(live, fresh) {
  const onState = () => {
    if (live.state === "lost") fresh.connection("the connection is lost; trying again");
    if (live.state === "live") fresh.connection("");
  };
  onState();
  live.addEventListener("state", onState);
  return () => live.removeEventListener("state", onState);
}

/** Tells `fresh` what the service says of the stream itself: that it is stale, sound again, or that there is none. */
export function tell(fresh, event, data) {
  if (event === "status" && data.stale) fresh.failed({ message: `${data.symbol} is stale: the service hears nothing new of it` });
  if (event === "status" && !data.stale) fresh.holds();
  if (event === "refused" && data.code === UNKNOWN) fresh.absent(noSymbol(data));
  if (event === "refused" && data.code !== UNKNOWN) fresh.failed({ message: data.message });
}

const UNKNOWN = "unknown_symbol";

export const noSymbol = ({ symbol, market }) => `There is no symbol ${symbol} on the ${market} market.`;
