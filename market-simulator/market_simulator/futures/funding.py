"""The funding rate: the premium over eight hours and the interest rate, by the exchange's formula."""

from market_simulator.futures.mark_price import HOUR_MS, MarkPrices, marked
from market_simulator.futures.market import FUNDING_MS, INTEREST_RATE, RATE_CAP, Funding
from market_simulator.futures.periods import ends

_DAMPER = 50_000  # 0.05 %: within it around the premium the rate is the interest rate


def funding_rate(premium: int) -> int:
    """premium + clamp(interest - premium, ±0.05 %), within the cap; units of 1e-8."""
    rate = premium + max(-_DAMPER, min(INTEREST_RATE - premium, _DAMPER))
    return max(-RATE_CAP, min(rate, RATE_CAP))


def next_funding(now_ms: int) -> int:
    """When funding is charged next."""
    return now_ms - now_ms % FUNDING_MS + FUNDING_MS


def fundings(
    marks: MarkPrices, now_ms: int, *, limit: int, start_ms: int | None, end_ms: int | None, first_ms: int
) -> list[Funding]:
    """As FuturesMarket.fundings; none before `first_ms`."""
    times = ends(FUNDING_MS, now_ms, limit=limit, start_ms=start_ms, end_ms=end_ms, first_ms=first_ms)
    if not times:
        return []
    hours = marks.hours(times[0], times[-1])[:: FUNDING_MS // HOUR_MS]
    return [
        Funding(at_ms, funding_rate(hour.premium), marked(hour.spot, hour.premium))
        for at_ms, hour in zip(times, hours, strict=True)
    ]
