"""Requests are counted as prometheus_client itself would count them."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.metrics import BUCKETS
from shared.web.request_counts import RequestCounts

pytestmark = pytest.mark.unit
NAMES = ["service", "method", "route"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/a", "/b/<c>"]), st.sampled_from([200, 404, 503]),
            st.floats(0, 20) | st.sampled_from(BUCKETS),
        ),
        max_size=40,
    )
)  # fmt: skip
def test_the_figures_are_those_of_the_librarys_own_kinds(requests: list[tuple[str, int, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = RequestCounts()
    ours.register(counts)
    total, errors = (
        Counter(name, "-", [*NAMES, "status"], registry=theirs) for name in ("http_requests_total", "http_errors_total")
    )
    duration = Histogram("http_request_duration_seconds", "-", NAMES, registry=theirs, buckets=BUCKETS)
    for route, status, seconds in requests:
        labels = ("s", "GET", route)
        counts.series(labels, status).add(seconds)
        total.labels(*labels, str(status)).inc()
        if status >= 400:
            errors.labels(*labels, str(status)).inc()
        duration.labels(*labels).observe(seconds)
    samples = [
        (sample.name, sample.labels, sample.value)
        for family in theirs.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
    for name, its_labels, value in samples:
        assert ours.get_sample_value(name, its_labels) == pytest.approx(value), (name, its_labels)
    assert sum(len(family.samples) for family in ours.collect()) == len(samples)


def test_a_registry_refuses_another_metric_of_the_same_name() -> None:
    registry = CollectorRegistry(auto_describe=True)
    registry.register(RequestCounts())
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("http_requests_total", "-", registry=registry)


def test_a_series_is_found_again() -> None:
    counts = RequestCounts()
    for status, _ in product((200, 404), range(3)):
        counts.series(("s", "GET", "/"), status).add(0.1)
    assert counts.series(("s", "GET", "/"), 200).count == 3
