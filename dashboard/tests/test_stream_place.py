"""Where a page finds the stream, for each way that the setting can be given."""

import pytest

from trading_dashboard.stream_place import StreamPlace

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("public", "host", "url", "path", "origins"),
    [
        ("", "localhost:3002", "http://localhost:5021", "/socket.io", ["http://localhost:5021", "ws://localhost:5021"]),
        ("", "box.lan", "http://box.lan:5021", "/socket.io", ["http://box.lan:5021", "ws://box.lan:5021"]),
        ("", "[::1]:3002", "http://[::1]:5021", "/socket.io", ["http://[::1]:5021", "ws://[::1]:5021"]),
        ("", "[::1]", "http://[::1]:5021", "/socket.io", ["http://[::1]:5021", "ws://[::1]:5021"]),
        ("/", "trade.example", "", "/socket.io", []),
        ("/live", "trade.example", "", "/live/socket.io", []),
        (
            "https://s.example/x", "trade.example", "https://s.example", "/x/socket.io",
            ["https://s.example", "wss://s.example"],
        ),
    ],
)  # fmt: skip
def test_the_stream_is_found(public: str, host: str, url: str, path: str, origins: list[str]) -> None:
    place = StreamPlace(public, 5021)
    assert (place.url(host), place.path, place.origins(host)) == (url, path, origins)


@pytest.mark.parametrize(("public", "url"), [("", ""), ("/", ""), ("https://s.example/x", "https://s.example")])
def test_through_the_door_the_stream_is_there_too_unless_the_setting_says_where(public: str, url: str) -> None:
    assert StreamPlace(public, 5021).url("localhost:8080", door=True) == url
