"""/s/<id>/sim/order: paper orders in a session's market. Prices and quantities are decimal strings, exact."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from market_simulator.market import UNIT
from market_simulator.sessions import PREFIX
from market_simulator.trading.orders import Fill, Order
from market_simulator.trading.session_market import SessionMarket
from market_simulator.venue import Venue
from market_simulator.wire.numbers import fixed8, quote8
from shared.errors import Conflict, InvalidInput, NotFound
from shared.service import Service
from shared.web.models import Body, DataAnswer, ListAnswer, Query, Shape

DecimalText = Annotated[
    str,
    Shape(
        r"^[0-9]{1,12}(\.[0-9]{1,8})?$",
        'must be a decimal number as a text, such as "0.25", with at most 12 digits before the point and 8 behind it',
    ),
]


class OrderBody(Body):
    """A paper order."""

    symbol: str = Field(max_length=50, description="upper case, a spot symbol of the session")
    side: Literal["BUY", "SELL"]
    type: Literal["MARKET", "LIMIT"]
    quantity: DecimalText = Field(description="base currency, a multiple of the step size")
    price: DecimalText | None = Field(None, description="limit orders only, a multiple of the tick size")


class OrdersQuery(Query):
    """Which orders."""

    symbol: str | None = Field(None, max_length=50)
    status: Literal["open", "all"] = Field("all", description="open: those that rest in the book")


class FillsQuery(Query):
    """Which fills."""

    symbol: str | None = Field(None, max_length=50)


def add_order_routes(service: Service, find: Callable[[str], Venue]) -> None:
    """Register them. `find`: a session's venue, or NotFound."""
    base = f"{PREFIX}<session_id>/sim"

    @service.route("POST", "/sim/order", summary="Refused: orders are for sessions", body=OrderBody, errors=(409,))
    def refuse(body: OrderBody) -> dict[str, Any]:  # noqa: ARG001  # checked, so that what is wrong is said first
        raise Conflict("orders are for sessions: POST /sim/session, then POST to /sim/order below its path")

    @service.route(
        "POST", f"{base}/order", summary="Place a paper order", body=OrderBody, answer=DataAnswer, errors=(409,)
    )
    def place(session_id: str, body: OrderBody) -> dict[str, Any]:
        market = _caught_up(find(session_id), body.symbol)
        price = None if body.price is None else _units(body.price)
        return {"data": _order(body.symbol, market.place(body.side, body.type, _units(body.quantity), price))}

    @service.route("GET", f"{base}/order/<symbol>/<int:order_id>", summary="One order", answer=DataAnswer)
    def show(session_id: str, symbol: str, order_id: int) -> dict[str, Any]:
        return {"data": _order(symbol, _listed(find(session_id), symbol).order(order_id))}

    @service.route(
        "DELETE", f"{base}/order/<symbol>/<int:order_id>", summary="Cancel an order", answer=DataAnswer, errors=(409,)
    )
    def cancel(session_id: str, symbol: str, order_id: int) -> dict[str, Any]:
        return {"data": _order(symbol, _listed(find(session_id), symbol).cancel(order_id))}

    @service.route("GET", f"{base}/orders", summary="The session's orders", query=OrdersQuery, answer=ListAnswer)
    def orders(session_id: str, query: OrdersQuery) -> dict[str, Any]:
        found = _orders(find(session_id), query.symbol)
        return {"data": [_order(*one) for one in found if query.status == "all" or one[1].is_open]}

    @service.route("GET", f"{base}/fills", summary="The session's fills", query=FillsQuery, answer=ListAnswer)
    def fills(session_id: str, query: FillsQuery) -> dict[str, Any]:
        found = [
            {"symbol": symbol, "order_id": order.id, "side": order.direction, **_fill(fill)}
            for symbol, order in _orders(find(session_id), query.symbol)
            for fill in order.fills
        ]
        return {"data": sorted(found, key=lambda fill: (fill["at_ms"], fill["symbol"], fill["trade_id"]))}


def _listed(venue: Venue, symbol: str) -> SessionMarket:
    """A session's market, brought to now. Raises NotFound."""
    if symbol not in venue.trading:
        raise NotFound(f"{symbol} is not listed in this session")
    venue.hub.catch_up(symbol)
    return venue.trading[symbol]


def _caught_up(venue: Venue, symbol: str) -> SessionMarket:
    try:
        return _listed(venue, symbol)
    except NotFound as error:
        raise InvalidInput.field("symbol", error.message) from None


def _orders(venue: Venue, symbol: str | None) -> list[tuple[str, Order]]:
    symbols = list(venue.trading) if symbol is None else [symbol]
    with_orders = [one for one in symbols if symbol is not None or venue.trading[one].orders()]
    return [(one, order) for one in with_orders for order in _listed(venue, one).orders()]


def _units(text: str) -> int:
    return int(Decimal(text) * UNIT)


def _order(symbol: str, order: Order) -> dict[str, Any]:
    """As an exchange would show it; `average_price` and `fees` are of what was filled."""
    filled, quote = order.quantity - order.left, sum(fill.price * fill.quantity for fill in order.fills)
    return {
        "id": order.id,
        "symbol": symbol,
        "side": order.direction,
        "type": order.kind,
        "status": order.status,
        "reason": order.reason,
        "price": None if order.price is None else fixed8(order.price),
        "quantity": fixed8(order.quantity),
        "filled": fixed8(filled),
        "average_price": fixed8(quote // filled) if filled else None,
        "quote": quote8(quote),
        "fees": quote8(sum(fill.fee for fill in order.fills)),
        "placed_at_ms": order.placed_ms,
        "fills": [_fill(fill) for fill in order.fills],
    }


def _fill(fill: Fill) -> dict[str, Any]:
    return {
        "trade_id": fill.trade_id,
        "price": fixed8(fill.price),
        "quantity": fixed8(fill.quantity),
        "fee": quote8(fill.fee),
        "is_maker": fill.is_maker,
        "at_ms": fill.at_ms,
    }
