"""What the service tells of itself: /stats, /health and /metrics."""

from typing import Any

from shared.redis_cache import RedisCache
from shared.service import Service
from websocket_streaming.channels import Channels
from websocket_streaming.fanout import Fanout

GAUGES = {
    "active_symbols": "Symbols served upstream",
    "stale_symbols": "Symbols whose price is told as stale",
    "upstream_connected": "1 while spot prices come, from the exchange or from the worker that leads",
    "subscriptions": "Subscriptions over all clients",
    "clients": "Clients connected by Socket.IO or plain WebSocket",
}
TOTALS = {
    "messages_in_total": "Market messages that came from the exchange",
    "messages_out_total": "Updates handed to clients",
    "reconnects_total": "Times that the upstream was connected again",
    "slow_clients_total": "Clients closed because they did not read",
    "gaps_found_total": "Holes seen in trade ids",
    "gaps_filled_total": "Holes in trade ids closed whole",
    "book_resyncs_total": "Order books lost to a hole, a crossing or silence",
}


def report(service: Service, channels: Channels, fanout: Fanout, cache: RedisCache, instance: int) -> None:
    """Put it on the service. `instance` is the number of this worker."""
    subscriptions, book = channels.subscriptions, channels.price.book

    def upstream() -> dict[str, Any]:
        if channels.following and channels.followed.is_silent:
            return {"status": "degraded", "detail": "the worker that leads is silent; another takes over soon"}
        if not channels.is_connected:
            detail = f"the stream of {channels.journal.venue} is away (the log says why); prices held are marked stale"
            return {"status": "degraded", "detail": detail}
        stale = [symbol.name for symbol in book.symbols if book.is_stale(symbol)]
        if stale:
            return {"status": "degraded", "detail": f"stale: {', '.join(stale[:10])}"}
        return {"status": "healthy", "detail": channels.journal.venue}

    def stats() -> dict[str, Any]:
        return {
            "venue": channels.journal.venue,
            "instance": instance,
            "follows": channels.following,
            "epoch": channels.journal.epoch,
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
    for name, text in (GAUGES | TOTALS).items():
        service.metrics.describe(f"stream_{name}", text)
    service.on_scrape(lambda: _show(service, channels, fanout))


def sample(channels: Channels, fanout: Fanout) -> None:
    """Once a second: the rates."""
    channels.received.sample()
    fanout.sent.sample()


def _show(service: Service, channels: Channels, fanout: Fanout) -> None:
    """The figures, when they are asked for: kept per message they would cost more than the message."""
    book = channels.price.book
    gauges = {
        "active_symbols": len(channels.active_symbols),
        "stale_symbols": sum(map(book.is_stale, book.symbols)),
        "upstream_connected": channels.is_connected,
        "subscriptions": channels.subscriptions.total,
        "clients": fanout.clients,
    }
    totals = {
        "messages_in_total": channels.received.total,
        "messages_out_total": fanout.sent.total,
        "reconnects_total": channels.reconnects,
        "slow_clients_total": fanout.slow_clients,
        "gaps_found_total": channels.trades.gaps_found,
        "gaps_filled_total": channels.trades.gaps_filled,
        "book_resyncs_total": channels.books.resyncs,
    }
    for name, value in gauges.items():
        service.metrics.set_gauge(f"stream_{name}", value)
    for name, total in totals.items():
        service.metrics.set_total(f"stream_{name}", total)
