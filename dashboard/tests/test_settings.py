"""Settings of the dashboard: what they mean, and what is refused in one line."""

import pytest

from shared.errors import ConfigError
from trading_dashboard.settings import DashboardSettings

pytestmark = pytest.mark.unit


def read(**environ: str) -> DashboardSettings:
    return DashboardSettings.read({"ENV_FILES": "false", **environ})


def test_without_a_word_services_are_where_the_list_says() -> None:
    assert read().service_urls == {
        "market-simulator": "http://127.0.0.1:5035",
        "database-service": "http://127.0.0.1:5020",
        "websocket-streaming": "http://127.0.0.1:5021",
        "auth-gateway": "http://127.0.0.1:5022",
    }


def test_a_service_can_be_elsewhere() -> None:
    urls = read(SIMULATOR_URL="http://sim:1", SERVICE_URLS="database-service=https://db.example/, dashboard=http://me:1")
    assert urls.service_urls == {
        "market-simulator": "http://sim:1",
        "database-service": "https://db.example",
        "websocket-streaming": "http://127.0.0.1:5021",
        "auth-gateway": "http://127.0.0.1:5022",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_URLS", "database-service"),
        ("SERVICE_URLS", "nobody=http://127.0.0.1:1"),
        ("SERVICE_URLS", "database-service=ftp://127.0.0.1"),
        ("SERVICE_URLS", "database-service=http://127.0.0.1:port"),
        ("STREAM_PUBLIC_URL", "live.example"),
        ("STREAM_PUBLIC_URL", "//live.example"),
        ("STREAM_PUBLIC_URL", "javascript:alert(1)"),
        ("STREAM_PUBLIC_URL", "https://live.example; script-src *"),
        ("STREAM_PUBLIC_URL", "https://user:secret@live.example"),
        ("STREAM_PUBLIC_URL", "https://live.example:port"),
    ],
)
def test_a_wrong_value_ends_the_start_with_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**{name: value})
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
