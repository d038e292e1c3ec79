"""The exchange's streams of all markets as one thing to start and stop; a worker that follows another needs none."""

from shared.clock import Clock
from shared.logger import FleetLogger
from websocket_streaming.channels import Channels
from websocket_streaming.feeds.binance import BinanceFeed


class ExchangeFeeds:
    """See `workers.Upstreams`. `urls` are the stream bases by market."""

    def __init__(self, urls: dict[str, str], channels: Channels, clock: Clock, logger: FleetLogger) -> None:
        self._urls, self._channels, self._clock, self._logger = urls, channels, clock, logger
        self._feeds: list[BinanceFeed] = []

    def start(self) -> None:
        """Connect, and attach them to the channels."""
        for market, url in self._urls.items():
            feed = BinanceFeed(url, market, self._channels, self._clock, self._logger)
            self._feeds.append(feed)
            self._channels.attach(market, feed)
        for feed in self._feeds:
            feed.start()

    def stop(self) -> None:
        """Disconnect; nothing comes from them any more when this returns."""
        feeds, self._feeds = self._feeds, []
        for feed in feeds:
            feed.stop(quietly=True)

    def settle(self) -> None:
        """See `BinanceFeed.settle`."""
        for feed in self._feeds:
            feed.settle()
