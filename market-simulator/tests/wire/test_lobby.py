"""What a socket's URL asks for."""

import pytest

from market_simulator.wire.lobby import Wish, read_url

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("path", "query", "wish"),
    [
        ("/ws", "", Wish([], False, 1)),
        ("/ws/btcusdt@trade/ethusdt@trade", "", Wish(["btcusdt@trade", "ethusdt@trade"], False, 1)),
        ("/ws/123", "timeUnit=microsecond", Wish(["123"], False, 1000)),
        ("/stream", "", Wish([], True, 1)),
        ("/stream", "streams=a@trade/b@trade&timeUnit=MICROSECOND", Wish(["a@trade", "b@trade"], True, 1000)),
        ("/stream", "streams=a%40trade%2Fb@kline_1d@+08:00", Wish(["a@trade", "b@kline_1d@+08:00"], True, 1)),
        ("/public/ws/a@depth", "", Wish(["a@depth"], False, 1, "public")),
        ("/market/stream", "streams=a@trade", Wish(["a@trade"], True, 1, "market")),
    ],
)
def test_paths_and_queries(path: str, query: str, wish: Wish) -> None:
    assert read_url(path, query) == wish


def test_a_bad_time_unit_asks_for_nothing() -> None:
    assert read_url("/ws", "timeUnit=second") is None
