// The order book of one symbol, kept from a snapshot and the deltas that follow it.

const MOST = 5000; // levels a side

export function orderBook() {
  const sides = { bids: new Map(), asks: new Map() };
  let updateId = null;

  function write(side, levels) {
    for (const [price, quantity] of levels) {
      if (quantity) side.set(price, quantity);
      else side.delete(price);
    }
  }

  return {
    /** Take an `orderbook_update`. False: it doesn't follow what is held, so a snapshot is needed. */
    take(data) {
      if (data.type === "snapshot") {
        sides.bids.clear();
        sides.asks.clear();
      } else if (updateId === null || (data.previous_update_id !== undefined && data.previous_update_id !== updateId)) {
        return false;
      }
      write(sides.bids, data.bids);
      write(sides.asks, data.asks);
      updateId = data.update_id;
      return sides.bids.size <= MOST && sides.asks.size <= MOST;
    },
    get known() {
      return updateId !== null;
    },
    /** The best `count` levels of each side, best first, as [price, quantity, total up to there]. */
    best(count) {
      return { bids: levels(sides.bids, (a, b) => b - a, count), asks: levels(sides.asks, (a, b) => a - b, count) };
    },
  };
}

function levels(side, order, count) {
  let total = 0;
  const prices = Float64Array.from(side.keys()).sort(order);
  return [...prices.subarray(0, count)].map((price) => [price, side.get(price), (total += side.get(price))]);
}
