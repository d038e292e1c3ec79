"""What the service tells of itself: /stats, /health and /metrics."""

from typing import Any

from shared.redis_cache import RedisCache
from shared.service import Service
from websocket_streaming.channels import Channels
from websocket_streaming.fanout import Fanout
from websocket_streaming.topics import SPOT

GAUGES = {
    "active_symbols": "Symbols served upstream",
    "subscriptions": "Subscriptions over all clients",
    "clients": "Clients connected by Socket.IO or plain WebSocket",
    "messages_in": "Market messages that came from the exchange since the start",
    "messages_out": "Updates handed to clients since the start",
    "reconnects": "Times that the upstream was connected again since the start",
    "slow_clients": "Clients closed because they didn't read, since the start",
    "gaps_found": "Holes seen in trade ids since the start",
    "gaps_filled": "Holes in trade ids closed whole since the start",
    "book_resyncs": "Order books lost to a hole, a crossing or silence since the start",
}


def report(service: Service, channels: Channels, fanout: Fanout, cache: RedisCache) -> None:
    """Put it on the service."""
    subscriptions, book = channels.subscriptions, channels.price.book

    def upstream() -> dict[str, Any]:
        if not book.is_connected(SPOT):
            detail = f"the stream of {channels.journal.venue} is away (the log says why); prices held are marked stale"
            return {"status": "degraded", "detail": detail}
        stale = [symbol.name for symbol in book.symbols if book.is_stale(symbol)]
        if stale:
            return {"status": "degraded", "detail": f"stale: {', '.join(stale[:10])}"}
        return {"status": "healthy", "detail": channels.journal.venue}

    def stats() -> dict[str, Any]:
        return {
            "venue": channels.journal.venue,
            "active_streams": len(channels.active_symbols),
            "total_subscriptions": subscriptions.total,
            "subscriptions_by_symbol": subscriptions.by_symbol,
            "clients": fanout.clients,
            "messages_in": channels.received.total,
            "messages_out": fanout.sent.total,
            "messages_in_per_second": channels.received.per_second,
            "messages_out_per_second": fanout.sent.per_second,
            "reconnects": channels.reconnects,
            "slow_clients": fanout.slow_clients,
            "gaps_found": channels.trades.gaps_found,
            "gaps_filled": channels.trades.gaps_filled,
            "book_resyncs": channels.books.resyncs,
        }

    def health_metrics() -> dict[str, Any]:
        return {
            "active_streams": len(channels.active_symbols),
            "active_symbols": channels.active_symbols,
            "total_subscriptions": subscriptions.total,
        }

    service.health.add_dependency("upstream", upstream)
    service.health.add_dependency("cache", cache.status)
    service.health.metrics(health_metrics)
    service.stats(stats)
    for name, text in GAUGES.items():
        service.metrics.describe(f"stream_{name}", text)


def show(service: Service, channels: Channels, fanout: Fanout) -> None:
    """Once a second: the figures. Not per message: that would cost more than the message."""
    channels.received.sample()
    fanout.sent.sample()
    figures = {
        "active_symbols": len(channels.active_symbols),
        "subscriptions": channels.subscriptions.total,
        "clients": fanout.clients,
        "messages_in": channels.received.total,
        "messages_out": fanout.sent.total,
        "reconnects": channels.reconnects,
        "slow_clients": fanout.slow_clients,
        "gaps_found": channels.trades.gaps_found,
        "gaps_filled": channels.trades.gaps_filled,
        "book_resyncs": channels.books.resyncs,
    }
    for name, value in figures.items():
        service.metrics.set_gauge(f"stream_{name}", value)
