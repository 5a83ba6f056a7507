"""The text formats, as the parsers of Prometheus' own client library read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from kstats.exporter.exposition import BOUNDS, Family, Rows, page
from kstats.histogram import Histogram
from tests.test_escape import restored

SERIES = Family("kvm_things_total", "counter", "Things", ("vm", "reason"))
TIMES = Family("kvm_times_seconds_total", "counter", "Times", ("vm",), 10**9)
LENGTHS = Family("kvm_length_seconds", "histogram", "Lengths", ("vm",))

NAMES = st.text(max_size=20)
DURATIONS = st.integers(0, 1 << 40)


def parsed(families: Iterable[tuple[Family, Rows]], *, om: bool) -> Iterator[Metric]:
    text = page(families, openmetrics=om)
    yield from (
        openmetrics.text_string_to_metric_families(text)
        if om
        else (text_string_to_metric_families(text))
    )


@given(st.dictionaries(NAMES, st.integers(0, 1 << 52), max_size=5), st.booleans())
def test_any_label_is_read_back(counts: dict[str, int], om: bool) -> None:  # noqa: FBT001
    rows = [SERIES.valued(n, name, "a") for name, n in counts.items()]
    (metric,) = parsed([(SERIES, rows)], om=om)
    labels = [s.labels["vm"] for s in metric.samples]
    names = [
        label if name.isprintable() else restored(label)
        for name, label in zip(counts, labels, strict=True)
    ]
    assert dict(zip(names, (s.value for s in metric.samples), strict=True)) == counts
    assert all(map(str.isprintable, labels))
    assert (metric.name, metric.type) == ("kvm_things", "counter")


@given(st.lists(DURATIONS), st.lists(DURATIONS), st.booleans())
def test_buckets_are_exact(first: list[int], second: list[int], om: bool) -> None:  # noqa: FBT001
    """The count of a bucket is that of the durations which its bound says."""
    series = LENGTHS.durations("web")
    series.add(Histogram.of(first))
    series.add(Histogram.of(second))
    (metric,) = parsed([(LENGTHS, [series])], om=om)
    known = [*first, *second]
    buckets = {s.labels["le"]: s.value for s in metric.samples if s.name.endswith("_bucket")}
    for le, n in buckets.items():
        assert n == sum(ns <= float(le) * 1e9 for ns in known)
    assert len(buckets) == len(BOUNDS) + 1
    values = {s.name: s.value for s in metric.samples}
    assert values["kvm_length_seconds_count"] == len(known)
    assert values["kvm_length_seconds_sum"] == sum(known) / 1e9


def test_nanoseconds_are_exported_as_seconds() -> None:
    (metric,) = parsed([(TIMES, [TIMES.valued(1_500_000_001, "web")])], om=False)
    assert [s.value for s in metric.samples] == [1.500000001]


def test_help_and_type_are_there_without_series() -> None:
    assert page([(SERIES, [])], openmetrics=False) == (
        "# HELP kvm_things_total Things.\n# TYPE kvm_things_total counter\n"
    )
