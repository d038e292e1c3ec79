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

/** Tells `fresh` when the stream is lost, and `again` when it is back. Returns how to end. */
export function whileLive(live, fresh, again) {
  const onState = () => {
    if (live.state === "lost") fresh.failed({ message: "the connection is lost; trying again" });
    if (live.state === "live") again?.();
  };
  live.addEventListener("state", onState);
  return () => live.removeEventListener("state", onState);
}
