"""Metrics: kept in the process's registry, bounded, and without effect where nobody collects them."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from shared import metrics as metrics_module
from shared.metrics import MAX_SERIES, MetricsCollector, scrape, track_time

pytestmark = pytest.mark.unit


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> MetricsCollector:
    return MetricsCollector("test", registry=registry)


@pytest.fixture
def own_names() -> Iterator[None]:
    """What the test puts into the process's own registry is taken out again."""
    yield
    for name, metric in list(metrics_module._metrics.get(REGISTRY, {}).items()):
        if name.startswith("test_"):
            REGISTRY.unregister(metric)
            del metrics_module._metrics[REGISTRY][name]


def test_a_counter_counts_per_label(metrics: MetricsCollector, registry: CollectorRegistry) -> None:
    metrics.increment_counter("signals_total", side="BUY")
    metrics.increment_counter("signals_total", 2, side="BUY")
    metrics.increment_counter("signals_total", side="SELL")
    assert registry.get_sample_value("signals_total", {"side": "BUY"}) == 3
    assert registry.get_sample_value("signals_total", {"side": "SELL"}) == 1


def test_a_gauge_shows_the_present_value(metrics: MetricsCollector, registry: CollectorRegistry) -> None:
    metrics.set_gauge("streams", 5)
    metrics.set_gauge("streams", 2)
    assert registry.get_sample_value("streams") == 2


def test_a_histogram_sums_and_counts(metrics: MetricsCollector, registry: CollectorRegistry) -> None:
    metrics.observe("wait_seconds", 0.004)
    metrics.observe("wait_seconds", 2)
    assert registry.get_sample_value("wait_seconds_count") == 2
    assert registry.get_sample_value("wait_seconds_sum") == pytest.approx(2.004)
    assert registry.get_sample_value("wait_seconds_bucket", {"le": "0.005"}) == 1


def test_a_description_stands_beside_the_metric(metrics: MetricsCollector, registry: CollectorRegistry) -> None:
    metrics.describe("streams", "Streams that are open")
    metrics.set_gauge("streams", 1)
    assert "# HELP streams Streams that are open" in scrape(registry)[0].decode()


def test_several_collectors_share_a_metric(registry: CollectorRegistry) -> None:
    for module in ("a", "b"):
        MetricsCollector(module, registry=registry).increment_counter("shared_total")
    assert registry.get_sample_value("shared_total") == 2


@pytest.mark.usefixtures("own_names")
def test_the_users_own_generate_latest_sees_it() -> None:
    MetricsCollector("test").increment_counter("test_seen_total")
    assert b"test_seen_total 1.0" in generate_latest()


def test_other_labels_than_before_are_refused(metrics: MetricsCollector) -> None:
    metrics.increment_counter("signals_total", side="BUY")
    with pytest.raises(ValueError, match="has the labels"):
        metrics.increment_counter("signals_total", symbol="BTCUSDT")
    with pytest.raises(ValueError, match="label"):
        metrics.increment_counter("signals_total")


def test_another_kind_than_before_is_refused(metrics: MetricsCollector) -> None:
    metrics.increment_counter("signals_total")
    with pytest.raises(ValueError, match="is a Counter, not a Gauge"):
        metrics.set_gauge("signals_total", 1)


def test_the_number_of_series_is_bounded(metrics: MetricsCollector, registry: CollectorRegistry) -> None:
    for number in range(MAX_SERIES + 50):
        metrics.increment_counter("wild_total", user=str(number))
    assert registry.get_sample_value("wild_total", {"user": "other"}) == 50
    assert registry.get_sample_value("wild_total", {"user": str(MAX_SERIES)}) is None
    metrics.increment_counter("wild_total", user="0")
    assert registry.get_sample_value("wild_total", {"user": "0"}) == 2


def test_a_new_registry_starts_empty_even_where_an_old_one_was(metrics: MetricsCollector) -> None:
    for _ in range(20):  # a freed registry's address is soon used again
        registry = CollectorRegistry()
        MetricsCollector("test", registry=registry).increment_counter("again_total")
        assert registry.get_sample_value("again_total") == 1
        del registry
        gc.collect()


def test_a_collector_that_is_off_collects_nothing(registry: CollectorRegistry) -> None:
    off = MetricsCollector("test", enabled=False, registry=registry)
    off.increment_counter("signals_total")
    off.set_gauge("streams", 1)
    off.observe("wait_seconds", 1)
    assert list(registry.collect()) == []


def test_a_tracked_function_is_timed_under_its_name(metrics: MetricsCollector, registry: CollectorRegistry) -> None:
    @track_time(metrics)
    def load(symbol: str) -> str:
        return symbol.lower()

    assert (load("BTC"), load.__name__) == ("btc", "load")
    assert registry.get_sample_value("load_seconds_count") == 1


def test_a_tracked_function_that_fails_is_timed_too(metrics: MetricsCollector, registry: CollectorRegistry) -> None:
    @track_time(metrics)
    def fail() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        fail()
    assert registry.get_sample_value("fail_seconds_count") == 1


@pytest.mark.usefixtures("own_names")
def test_a_name_instead_of_a_collector_names_the_histogram() -> None:
    @track_time("test.price fetch")
    def fetch() -> None: ...

    fetch()
    assert REGISTRY.get_sample_value("test_price_fetch_seconds_count") == 1


def test_without_the_package_nothing_happens_and_nothing_fails() -> None:
    program = """
import sys
sys.modules["prometheus_client"] = None
from shared.metrics import MetricsCollector, scrape, track_time
metrics = MetricsCollector("test")
metrics.increment_counter("a_total", side="BUY"); metrics.set_gauge("b", 1); metrics.observe("c_seconds", 1)
print(track_time(metrics)(lambda: 7)(), scrape())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert ended.stdout == "7 (b'# prometheus_client is not installed\\n', 'text/plain; charset=utf-8')\n"
