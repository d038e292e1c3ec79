"""Builds the service: the only file that names concrete parts and wires them."""

import secrets

from shared.clock import Clock, SystemClock
from shared.redis_cache import RedisCache
from shared.service import Service, create_service
from websocket_streaming.background import Background
from websocket_streaming.book_channel import BookChannel
from websocket_streaming.channels import Channels
from websocket_streaming.engine_websocket import PATH as SOCKETIO_PATH
from websocket_streaming.errands import Errands
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.fanout import CatchUp, Fanout
from websocket_streaming.feeds.exchange import ExchangeFeeds
from websocket_streaming.feeds.rest import BinanceExchange, binance_answers
from websocket_streaming.feeds.shared_feed import Inbox, Meeting, Outbox
from websocket_streaming.fetched import Fetched
from websocket_streaming.followed import Followed
from websocket_streaming.journal import Journal, Publisher
from websocket_streaming.kline_channel import KlineChannel
from websocket_streaming.liquidation_channel import LiquidationChannel
from websocket_streaming.market_routes import add_market_routes
from websocket_streaming.plain import PlainStreams
from websocket_streaming.price_book import PriceBook
from websocket_streaming.price_channel import PriceChannel
from websocket_streaming.report import report, sample
from websocket_streaming.routes import add_routes
from websocket_streaming.settings import StreamingSettings
from websocket_streaming.sockets import SocketIoServer
from websocket_streaming.stores.newest import NewestPrices
from websocket_streaming.stores.verdict import VerdictFile
from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.symbol_list import SymbolList
from websocket_streaming.ticks import Symbol
from websocket_streaming.topics import CHANNELS, FUTURES, KLINES, MARKETS, PRICE, SPOT, TRADES, Topic
from websocket_streaming.trade_channel import TradeChannel
from websocket_streaming.venue import Venue, choose_venue
from websocket_streaming.workers import TURN_S, Workers

READY_WITHIN_S = 5.0  # ready with the default prices held; by then without them too (upstream away), saying so
ERRANDS_AT_ONCE = 3  # questions to REST under way; more would only queue at the exchange


def build(settings: StreamingSettings | None = None, *, clock: Clock | None = None) -> Service:
    """The service, ready to run; opens nothing."""
    settings = settings or StreamingSettings.read()
    clock = clock or SystemClock()
    service = create_service(
        "websocket-streaming", settings, import_name="websocket_streaming", clock=clock,
        about="prices, order books, trades and klines by Socket.IO, WebSocket and REST",
        first_call="/price/BTCUSDT",
    )  # fmt: skip
    if settings.INSTANCES > 1:
        service.log_name = f"{service.name}-{settings.INSTANCE}"
    exchange, errands = BinanceExchange(), Errands(clock, service.logger)
    # Trades of the default symbols come anyway, with their prices; so their holes are found and filled, too.
    permanent = [Topic(channel, SPOT, name) for channel in (PRICE, TRADES) for name in settings.default_symbols]
    subscriptions = Subscriptions(permanent, settings.MAX_SYMBOLS_PER_CLIENT)
    catch_up: dict[str, CatchUp] = {}
    fanout = Fanout(subscriptions, clock, catch_up)
    cache = RedisCache.from_settings(settings)
    outbox = Outbox(fanout, cache, clock)
    publisher = outbox if settings.INSTANCES > 1 else fanout
    channels = _make_channels(service, settings, clock, exchange, errands, subscriptions, publisher)
    catch_up |= channels.catch_up
    add_routes(service, channels, settings.RATE_LIMIT_PRICE)
    add_market_routes(service, channels, settings.RATE_LIMIT_MARKET)
    plain = PlainStreams(channels, fanout)
    for channel in CHANNELS:
        interval = "/<interval>" if channel == KLINES else ""
        service.websocket(f"/stream/{channel}/<symbol>{interval}", plain.handler(channel))
    service.max_websockets = settings.MAX_CLIENTS
    service.leave_websockets(SOCKETIO_PATH)
    sockets = SocketIoServer(
        service, channels, fanout, max_clients=settings.MAX_CLIENTS, max_event_bytes=settings.MAX_EVENT_BYTES
    )
    report(service, channels, fanout, cache, settings.INSTANCE)
    held = [Symbol(SPOT, name) for name in settings.default_symbols]
    service.ready_when(lambda: service.health.uptime_s > READY_WITHIN_S or all(map(channels.held_price, held)))
    service.on_drain(sockets.close)
    service.on_start(lambda: _start(service, settings, channels, fanout, sockets, exchange, errands, cache, outbox))
    return service


def _make_channels(
    service: Service,
    settings: StreamingSettings,
    clock: Clock,
    exchange: BinanceExchange,
    errands: Errands,
    subscriptions: Subscriptions,
    publisher: Publisher,
) -> Channels:
    log, exchange_time = service.logger, ExchangeTime(clock)
    journal = Journal(publisher, secrets.token_hex(8), clock)
    listings = {market: SymbolList(exchange.lister(market), clock) for market in MARKETS}
    book, fetched = PriceBook(clock, exchange_time), Fetched(clock, listings)

    def renew(topics: list[Topic]) -> None:
        channels.renew(topics)

    channels = Channels(
        clock=clock, exchange_time=exchange_time, exchange=exchange, subscriptions=subscriptions, listings=listings,
        journal=journal, max_symbols=settings.MAX_SYMBOLS, followed=Followed(clock, exchange_time, journal),
        price=PriceChannel(
            clock=clock, logger=log, book=book, journal=journal, wanted=subscriptions, exchange=exchange,
            fetched=fetched, renew=renew,
        ),
        trades=TradeChannel(
            clock=clock, logger=log, journal=journal, errands=errands, exchange=exchange, prices=book, fetched=fetched,
            renew=renew,
        ),
        klines=KlineChannel(
            clock=clock, exchange_time=exchange_time, journal=journal, errands=errands, exchange=exchange,
            fetched=fetched, renew=renew,
        ),
        books=BookChannel(
            clock=clock, logger=log, exchange_time=exchange_time, journal=journal, errands=errands, exchange=exchange,
            fetched=fetched, renew=renew,
        ),
        liquidations=LiquidationChannel(clock, journal, renew),
    )  # fmt: skip
    return channels


def _start(
    service: Service,
    settings: StreamingSettings,
    channels: Channels,
    fanout: Fanout,
    sockets: SocketIoServer,
    exchange: BinanceExchange,
    errands: Errands,
    cache: RedisCache,
    outbox: Outbox,
) -> None:
    log, clock = service.logger, service.clock
    verdicts = VerdictFile(settings.VAR_DIR, clock, log)
    venue = choose_venue(settings.MARKET, verdicts, lambda: binance_answers(settings.BINANCE_REST_URL))
    rest_urls, ws_urls = _addresses(venue, settings)
    channels.journal.venue = venue
    exchange.use(rest_urls[SPOT], rest_urls[FUTURES])
    log.info("Market: %s at %s", venue, rest_urls[SPOT])
    log.info("Symbols: %s; any other on demand", ", ".join(settings.default_symbols))

    newest = NewestPrices(cache, channels.price.book, venue)
    newest.restore([Symbol(SPOT, name) for name in settings.default_symbols])
    log.info("Redis: %s", "connected" if cache.client else "none")
    log.info("Cache: newest prices in memory%s", " and in Redis" if cache.client else "")

    feeds = ExchangeFeeds(ws_urls, channels, clock, log)
    background = Background(clock, log)
    background.run("fan-out", fanout.run)
    background.every(1.0, "pings", sockets.ping)
    background.run("gap filler", channels.price.gaps.run)
    for number in range(ERRANDS_AT_ONCE):
        background.run(f"errands {number + 1}", errands.run)
    background.every(1.0, "silence check", channels.price.check, judges=True)
    background.every(1.0, "channels check", channels.check, judges=True)
    background.every(1.0, "alerts", sockets.alert_events.check)
    background.every(1.0, "exchange time", channels.keep_time)
    background.every(1.0, "newest prices to Redis", newest.save)
    background.every(1.0, "closed streams", feeds.settle)
    background.every(1.0, "figures", lambda: sample(channels, fanout))
    service.on_stop(cache.close)
    service.on_stop(feeds.stop)
    if settings.INSTANCES > 1:
        _join_workers(service, settings, channels, cache, feeds, outbox, background)
    else:
        feeds.start()
    service.on_stop(background.stop)


def _join_workers(
    service: Service,
    settings: StreamingSettings,
    channels: Channels,
    cache: RedisCache,
    feeds: ExchangeFeeds,
    outbox: Outbox,
    background: Background,
) -> None:
    """One of several: the upstream is this worker's, or another's that it follows."""
    prefix = f"{settings.INSTANCE_GROUP}:{channels.journal.venue}"
    outbox.channel = f"{prefix}:updates"
    inbox = Inbox(
        cache, outbox.channel, channels.followed, channels.journal, channels.received, service.clock, service.logger
    )
    workers = Workers(
        number=settings.INSTANCE, channels=channels, meeting=Meeting(cache, prefix, settings.INSTANCES),
        upstreams=feeds, ear=inbox, mouth=outbox, clock=service.clock, logger=service.logger,
    )  # fmt: skip
    workers.turn()  # at once: who leads is known before the first client comes
    background.every(TURN_S, "workers", workers.turn)
    background.run("updates to the others", lambda stopping: outbox.run(stopping, lambda: channels.is_connected))
    background.run("updates from the one that leads", inbox.run)
    service.on_stop(workers.stop)


def _addresses(venue: Venue, settings: StreamingSettings) -> tuple[dict[str, str], dict[str, str]]:
    """REST and stream bases of the venue's markets; the simulator has all under one address."""
    if venue == "binance":
        rest_urls = {SPOT: settings.BINANCE_REST_URL, FUTURES: settings.BINANCE_FUTURES_REST_URL}
        return rest_urls, {SPOT: settings.BINANCE_WS_URL, FUTURES: settings.BINANCE_FUTURES_WS_URL}
    url = settings.SIMULATOR_URL
    return dict.fromkeys(MARKETS, url), dict.fromkeys(MARKETS, "ws" + url.removeprefix("http"))
