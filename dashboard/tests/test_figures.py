"""Reading a service's /metrics, and what two looks make of it."""

import pytest

from trading_dashboard.figures import Figures, rates, read_figures

pytestmark = pytest.mark.unit

TEXT = b"""# HELP http_requests_total Requests answered
# TYPE http_requests_total counter
http_requests_total{method="GET",route="/price/<symbol>",service="s",status="200"} 90.0
http_requests_total{method="GET",route="/price/<symbol>",service="s",status="404"} 8.0
http_requests_total{method="GET",route="unmatched",service="s",status="503"} 2.0
http_requests_total{method="GET",route="/health",service="s",status="200"} 5000.0
http_requests_total{method="GET",route="/metrics",service="s",status="200"} 5000.0
http_requests_created{method="GET",route="/price/<symbol>",service="s",status="200"} 1.7e9
process_resident_memory_bytes 1.048576e+08
process_start_time_seconds 1.7e+09
process_cpu_seconds_total 12.5
"""


def test_requests_are_counted_without_those_of_watchers() -> None:
    assert read_figures(TEXT) == Figures(1.7e9, 100.0, 8.0, 2.0, 100.0, 12.5)


def test_a_service_without_metrics_has_no_figures() -> None:
    assert read_figures(b"# prometheus_client is not installed\n") == Figures(0.0, 0.0, 0.0, 0.0, None, None)


@pytest.mark.parametrize("text", [b"process_resident_memory_bytes many\n", b'http_requests_total{status="2"} \n'])
def test_what_is_no_number_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        read_figures(text)


def look(started: float = 1.0, requests: float = 0.0, refused: float = 0.0, cpu: float | None = 0.0) -> Figures:
    return Figures(started, requests, refused, 0.0, None, cpu)


def test_rates_are_per_second_between_two_looks() -> None:
    found = rates(look(), look(requests=50, refused=5, cpu=1.0), 10.0)
    assert found is not None
    assert (found.over_s, found.requests_per_s, found.refused_per_s, found.failed_per_s, found.cpu_pct) == (
        10.0, 5.0, 0.5, 0.0, 10.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("after", "over_s"), [(look(started=2.0, requests=9), 1.0), (look(requests=9), 0.0)], ids=["restarted", "no time"]
)
def test_two_looks_that_are_no_pair_give_no_rates(after: Figures, over_s: float) -> None:
    assert rates(look(requests=1), after, over_s) is None
    assert rates(look(requests=10), look(requests=9), 1.0) is None, "counters never fall"
