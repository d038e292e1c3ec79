"""Builds the service: the only file that names concrete parts and wires them."""

import secrets
from typing import Any

from shared.clock import Clock, SystemClock
from shared.redis_cache import RedisCache
from shared.service import Service, create_service
from websocket_streaming.background import Background
from websocket_streaming.engine_websocket import PATH as SOCKETIO_PATH
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.fanout import Fanout
from websocket_streaming.feeds.binance import BinanceExchange, BinanceFeed, binance_answers
from websocket_streaming.plain import PlainStreams
from websocket_streaming.price_book import PriceBook, Symbol
from websocket_streaming.price_channel import PriceChannel
from websocket_streaming.routes import add_routes
from websocket_streaming.settings import StreamingSettings
from websocket_streaming.sockets import SocketIoServer
from websocket_streaming.stores.newest import NewestPrices
from websocket_streaming.stores.verdict import VerdictFile
from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.symbol_list import SymbolList
from websocket_streaming.topics import PRICE, SPOT, Topic
from websocket_streaming.venue import Venue, choose_venue

READY_WITHIN_S = 5.0  # ready with the default prices held; by then without them too (upstream away), saying so


def build(settings: StreamingSettings | None = None, *, clock: Clock | None = None) -> Service:
    """The service, ready to run; opens nothing."""
    settings = settings or StreamingSettings.read()
    clock = clock or SystemClock()
    service = create_service("websocket-streaming", settings, import_name="websocket_streaming", clock=clock)
    exchange = BinanceExchange()
    exchange_time = ExchangeTime(clock)
    permanent = [Topic(PRICE, SPOT, name) for name in settings.default_symbols]
    subscriptions = Subscriptions(permanent, settings.MAX_SYMBOLS_PER_CLIENT)
    fanout = Fanout(subscriptions, clock)
    channel = PriceChannel(
        clock=clock,
        logger=service.logger,
        exchange_time=exchange_time,
        book=PriceBook(clock, exchange_time, epoch=secrets.token_hex(8)),
        subscriptions=subscriptions,
        symbols=SymbolList(exchange, clock),
        exchange=exchange,
        publisher=fanout,
        max_symbols=settings.MAX_SYMBOLS,
    )
    cache = RedisCache.from_settings(settings)
    add_routes(service, channel, settings.RATE_LIMIT_PRICE)
    service.websocket("/stream/price/<symbol>", PlainStreams(channel, fanout).price)
    service.max_websockets = settings.MAX_CLIENTS
    service.leave_websockets(SOCKETIO_PATH)
    sockets = SocketIoServer(
        service, channel, fanout, max_clients=settings.MAX_CLIENTS, max_event_bytes=settings.MAX_EVENT_BYTES
    )
    _report(service, channel, fanout, cache)
    held = [Symbol(SPOT, name) for name in settings.default_symbols]
    service.ready_when(lambda: service.health.uptime_s > READY_WITHIN_S or all(map(channel.book.ticker, held)))
    service.on_drain(sockets.close)
    service.on_start(lambda: _start(service, settings, channel, fanout, sockets, exchange, cache))
    return service


def _start(
    service: Service,
    settings: StreamingSettings,
    channel: PriceChannel,
    fanout: Fanout,
    sockets: SocketIoServer,
    exchange: BinanceExchange,
    cache: RedisCache,
) -> None:
    log, clock = service.logger, service.clock
    verdicts = VerdictFile(settings.VAR_DIR, clock, log)
    venue = choose_venue(settings.MARKET, verdicts, lambda: binance_answers(settings.BINANCE_REST_URL))
    rest_url, ws_url = _addresses(venue, settings)
    channel.book.venue = venue
    exchange.use(rest_url)
    log.info("Market: %s at %s", venue, rest_url)
    log.info("Symbols: %s; any other on demand", ", ".join(settings.default_symbols))

    newest = NewestPrices(cache, channel.book)
    newest.restore([Symbol(SPOT, name) for name in settings.default_symbols])
    log.info("Redis: %s", "connected" if cache.client else "none")
    log.info("Cache: newest prices in memory%s", " and in Redis" if cache.client else "")

    feed = BinanceFeed(ws_url, SPOT, channel, clock, log)
    channel.attach(feed)
    background = Background(clock, log)
    background.run("fan-out", fanout.run)
    background.every(1.0, "pings", sockets.ping)
    background.run("gap filler", channel.gaps.run)
    background.every(1.0, "silence check", channel.gaps.check_silent)
    background.every(1.0, "exchange time", channel.keep_time)
    background.every(1.0, "newest prices to Redis", newest.save)
    background.every(1.0, "closed symbols", feed.settle)
    background.every(1.0, "figures", lambda: _show(service, channel, fanout))
    feed.start()
    service.on_stop(cache.close)
    service.on_stop(background.stop)
    service.on_stop(feed.stop)


def _addresses(venue: Venue, settings: StreamingSettings) -> tuple[str, str]:
    """REST and stream base of the venue; the simulator has both under one address."""
    if venue == "binance":
        return settings.BINANCE_REST_URL, settings.BINANCE_WS_URL
    return settings.SIMULATOR_URL, "ws" + settings.SIMULATOR_URL.removeprefix("http")


def _report(service: Service, channel: PriceChannel, fanout: Fanout, cache: RedisCache) -> None:
    subscriptions, book = channel.subscriptions, channel.book

    def upstream() -> dict[str, Any]:
        if not book.is_connected(SPOT):
            detail = f"the stream of {book.venue} is away (the log says why); prices held are marked stale"
            return {"status": "degraded", "detail": detail}
        stale = [symbol.name for symbol in book.symbols if book.is_stale(symbol)]
        if stale:
            return {"status": "degraded", "detail": f"stale: {', '.join(stale[:10])}"}
        return {"status": "healthy", "detail": book.venue}

    def stats() -> dict[str, Any]:
        return {
            "venue": book.venue,
            "active_streams": len(channel.active_symbols),
            "total_subscriptions": subscriptions.total,
            "subscriptions_by_symbol": subscriptions.by_symbol,
            "clients": fanout.clients,
            "messages_in": channel.received.total,
            "messages_out": fanout.sent.total,
            "messages_in_per_second": channel.received.per_second,
            "messages_out_per_second": fanout.sent.per_second,
            "reconnects": channel.reconnects,
            "slow_clients": fanout.slow_clients,
        }

    def health_metrics() -> dict[str, Any]:
        return {
            "active_streams": len(channel.active_symbols),
            "active_symbols": channel.active_symbols,
            "total_subscriptions": subscriptions.total,
        }

    service.health.add_dependency("upstream", upstream)
    service.health.add_dependency("cache", cache.status)
    service.health.metrics(health_metrics)
    service.stats(stats)
    service.metrics.describe("stream_active_symbols", "Symbols served upstream")
    service.metrics.describe("stream_subscriptions", "Subscriptions over all clients")
    service.metrics.describe("stream_clients", "Clients connected by Socket.IO or plain WebSocket")
    service.metrics.describe("stream_messages_in", "Market messages that came from the exchange since the start")
    service.metrics.describe("stream_messages_out", "Updates handed to clients since the start")
    service.metrics.describe("stream_reconnects", "Times that the upstream was connected again since the start")
    service.metrics.describe("stream_slow_clients", "Clients closed because they didn't read, since the start")


def _show(service: Service, channel: PriceChannel, fanout: Fanout) -> None:
    """Once a second: what became stale, and the figures. Not per message: that would cost more than the message."""
    channel.publish_stale_changes()
    channel.received.sample()
    fanout.sent.sample()
    figures = {
        "active_symbols": len(channel.active_symbols),
        "subscriptions": channel.subscriptions.total,
        "clients": fanout.clients,
        "messages_in": channel.received.total,
        "messages_out": fanout.sent.total,
        "reconnects": channel.reconnects,
        "slow_clients": fanout.slow_clients,
    }
    for name, value in figures.items():
        service.metrics.set_gauge(f"stream_{name}", value)
