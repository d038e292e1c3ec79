"""Who wants what: clients per topic, topics per client, and when a topic's first client comes or its last one goes."""

from collections.abc import Callable, Collection, Iterable

from websocket_streaming.topics import Topic


class Subscriptions:
    """Counts wishes. `permanent` topics are wanted for ever; the others as long as someone does."""

    def __init__(self, permanent: Iterable[Topic], max_symbols_per_client: int) -> None:
        self.permanent = tuple(dict.fromkeys(permanent))
        self.max_symbols = max_symbols_per_client
        self._clients_of: dict[Topic, set[str]] = {topic: set() for topic in self.permanent}
        self._topics_of: dict[str, set[Topic]] = {}
        self.on_change: Callable[[str], None] = lambda _client: None  # told of each client whose topics changed

    def room(self, client: str, topics: Iterable[Topic]) -> list[Topic]:
        """Those of `topics` that the client may have besides what it has; a symbol counts once on all channels."""
        have = {(topic.market, topic.symbol) for topic in self._topics_of.get(client, ())}
        fitting = []
        for topic in topics:
            symbol = (topic.market, topic.symbol)
            if symbol in have or len(have) < self.max_symbols:
                have.add(symbol)
                fitting.append(topic)
        return fitting

    def add(self, client: str, topics: Iterable[Topic]) -> list[Topic]:
        """Note the wish; returns the topics that nobody wanted before."""
        opened = []
        for topic in topics:
            if topic not in self._clients_of:
                self._clients_of[topic] = set()
                opened.append(topic)
            self._clients_of[topic].add(client)
            self._topics_of.setdefault(client, set()).add(topic)
        self.on_change(client)
        return opened

    def remove(self, client: str, topics: Iterable[Topic]) -> list[Topic]:
        """Forget the wish; returns the topics that nobody wants any more."""
        closed = []
        mine = self._topics_of.get(client, set())
        for topic in mine.intersection(topics):
            mine.discard(topic)
            self._clients_of[topic].discard(client)
            if not self._clients_of[topic] and topic not in self.permanent:
                del self._clients_of[topic]
                closed.append(topic)
        if not mine:
            self._topics_of.pop(client, None)
        self.on_change(client)
        return closed

    def drop(self, client: str) -> list[Topic]:
        """Forget the client; returns the topics that nobody wants any more."""
        return self.remove(client, list(self._topics_of.get(client, ())))

    def clients(self, topic: Topic) -> Collection[str]:
        """Who wants the topic; a live view, not to be kept or changed."""
        return self._clients_of.get(topic, ())

    def topics(self, client: str) -> Collection[Topic]:
        """What the client wants; a live view, not to be kept or changed."""
        return self._topics_of.get(client, ())

    def is_wanted(self, topic: Topic) -> bool:
        """Whether somebody wants it, or it is permanent."""
        return topic in self._clients_of

    @property
    def wanted(self) -> list[Topic]:
        """Every topic that is wanted, the permanent ones first."""
        return list(self._clients_of)

    @property
    def total(self) -> int:
        """How many subscriptions there are, over all clients."""
        return sum(len(topics) for topics in self._topics_of.values())

    @property
    def by_symbol(self) -> dict[str, int]:
        """Subscriptions per symbol over all markets and channels, zeros of the permanent ones included."""
        counts: dict[str, int] = {}
        for topic, clients in self._clients_of.items():
            counts[topic.symbol] = counts.get(topic.symbol, 0) + len(clients)
        return counts
