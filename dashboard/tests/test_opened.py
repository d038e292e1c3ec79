"""Which links a page gets, by the way that it was opened."""

import pytest

from trading_dashboard.opened import links

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("host", "door", "asks", "expected"),
    [
        ("localhost:3002", False, False, "ports"),
        ("[::1]:3002", False, False, "ports"),
        ("localhost:3002", False, True, None),  # the services' ports are closed then
        ("trade.example", False, False, None),
        ("localhost:8080", False, False, None),
        ("localhost:8080", True, False, "door"),
        ("fleet.example.org", True, True, "door"),
    ],
)
def test_links_lead_where_something_answers(host: str, door: bool, asks: bool, expected: str | None) -> None:
    assert links(host, 3002, door=door, asks=asks) == expected
