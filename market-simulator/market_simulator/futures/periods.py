"""Which instants a list of equal periods shows, by the range rule of binance-wire.md 2."""


def ends(
    period_ms: int, now_ms: int, *, limit: int, start_ms: int | None, end_ms: int | None, first_ms: int
) -> range:
    """Multiples of `period_ms` from `first_ms` up to `now_ms`: the newest, or with `start_ms` the oldest from there."""
    first = -(-max(first_ms, first_ms if start_ms is None else start_ms) // period_ms)
    last = min(now_ms, now_ms if end_ms is None else end_ms) // period_ms
    if start_ms is None:
        first = max(first, last - limit + 1)
    last = min(last, first + limit - 1)
    return range(first * period_ms, last * period_ms + 1, period_ms)
