"""Which wishes are granted: what the exchange lists, within the bounds of the client, the service and the upstream."""

from collections.abc import Iterable, Mapping

from shared.errors import Unavailable
from websocket_streaming.channel import Upstream
from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.symbol_list import SymbolList
from websocket_streaming.topics import Problem, Topic, Wish, about_symbols


class Admission:
    """Says of each topic whether it can be served. `upstreams`, by market, may change later."""

    def __init__(
        self, subscriptions: Subscriptions, listings: Mapping[str, SymbolList], upstreams: Mapping[str, Upstream],
        max_symbols: int,
    ) -> None:  # fmt: skip
        self._subscriptions, self._listings, self._upstreams = subscriptions, listings, upstreams
        self._max_symbols = max_symbols

    def admit(self, client: str, wish: Wish) -> list[Topic]:
        """The topics of the wish that can be served; why the others can't is added to the wish's problems."""
        topics = self._subscriptions.room(client, wish.topics)
        if len(topics) < len(wish.topics):
            left = _names(set(wish.topics) - set(topics))
            bound = f"over {self._subscriptions.max_symbols} symbols a client"
            wish.problems.append(about_symbols("too_many_symbols", bound, left))
        fresh = [topic for topic in topics if not self._subscriptions.is_wanted(topic)]
        refused = self._refuse(fresh, wish.problems) if fresh else set()
        return [topic for topic in topics if topic not in refused]

    def fitting(self, market: str, topics: list[Topic]) -> set[Topic]:
        """Those that there is room for, here and upstream."""
        active = {topic.of for topic in self._subscriptions.wanted}
        within = []
        for topic in topics:
            if topic.of in active or len(active) < self._max_symbols:
                active.add(topic.of)
                within.append(topic)
        upstream = self._upstreams.get(market)
        return set(upstream.fits(within) if upstream else within)

    def _refuse(self, topics: list[Topic], problems: list[Problem]) -> set[Topic]:
        """Those that the exchange doesn't list, or that are over a bound."""
        names, market = _names(topics), topics[0].market
        try:
            unknown = self._listings[market].unknown(names)
        except Unavailable as error:
            problems.append(about_symbols("upstream_unavailable", f"can't be checked: {error.message}", names))
            return set(topics)
        if unknown:
            problems.append(about_symbols("unknown_symbol", "not listed by the exchange", unknown))
        listed = [topic for topic in topics if topic.symbol not in set(unknown)]
        fitting = self.fitting(market, listed)
        if over := [topic for topic in listed if topic not in fitting]:
            problems.append(about_symbols("too_many_symbols", "over the service's bound; try later", _names(over)))
        return set(topics) - fitting


def _names(topics: Iterable[Topic]) -> list[str]:
    return list(dict.fromkeys(topic.symbol for topic in topics))
