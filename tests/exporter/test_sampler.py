"""One sampler for everyone: nobody takes a sample away from another one."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator, Mapping

import attrs
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from kstats.errors import KstatsError, PrivilegeError, UnsupportedHostError
from kstats.exporter.exposition import Durations
from kstats.exporter.feed import About
from kstats.exporter.sampler import FRESH, UNASKED, Sampler
from kstats.exporter.settings import Settings
from kstats.histogram import Histogram
from kstats.model import Exits, MapUsage, Place, Sample
from tests.exporter.running import Values, parsed
from tests.exporter.samples import HLT, Guest, Now, sample, series

ABOUT = About(arch="x64", isa="vmx", probe="raw", loader="bcc", kernel="6.1")


@attrs.define
class Scripted:
    """A feed: 3 exits in each sample, unless something else is to happen."""

    taken: int = 0
    looked: int = 0
    fault: Exception | None = None
    notes: tuple[str, ...] = ()
    closed: bool = False
    about: About = ABOUT
    counted: tuple[str, ...] = ("entries", "exits", "threads")

    def samples(self) -> Iterator[Sample]:
        """Same as :meth:`kstats.exporter.feed.Feed.samples`."""
        if self.fault:
            raise self.fault
        self.taken += 1
        guest = Guest("web", exits={HLT: [3]})
        (thread,) = guest.threads
        one = sample(guest, notes=self.notes)
        timed = {Place(-1, thread): Exits(0, Histogram.of([5000]))}
        yield attrs.evolve(one, exits={HLT: {**one.exits[HLT], **timed}})

    def maps(self) -> Mapping[str, MapUsage]:
        """Same as :meth:`kstats.exporter.feed.Feed.maps`."""
        self.looked += 1
        return {"threads": MapUsage(self.looked, 1024)}

    def close(self) -> None:
        """Same as :meth:`kstats.exporter.feed.Feed.close`."""
        self.closed = True


def made(feed: Scripted, now: Now, durations: str = "") -> Sampler:
    return Sampler(lambda: feed, Settings(durations=durations), now)


def scraped(sampler: Sampler) -> Values:
    return parsed(sampler.page().decode())


def exits(found: Values) -> float:
    return sum(series(found, "kvm_vm_exits_total", "vm").values())


def test_scrapes_in_a_second_get_the_same_page() -> None:
    feed, now = Scripted(), Now()
    sampler = made(feed, now)
    first = sampler.page()
    now.time += FRESH - 0.1
    assert sampler.page() is first
    assert feed.taken == 1
    now.time += 0.2
    assert exits(scraped(sampler)) == 6
    assert feed.taken == 2


def test_two_scrapers_both_see_every_exit() -> None:
    feed, now = Scripted(), Now()
    sampler = made(feed, now)
    for turn in range(1, 9):
        now.time += FRESH
        assert exits(scraped(sampler)) == 3 * turn  # one scrapes after each second,
        if turn % 2:
            assert exits(scraped(sampler)) == 3 * turn  # and one after every other
    assert feed.taken == 8


def test_a_sample_is_due_although_nobody_asks() -> None:
    feed, now = Scripted(), Now()
    sampler = made(feed, now)
    assert sampler.due < now.time
    sampler.sample()
    assert sampler.due == now.time + UNASKED


def test_all_formats_have_the_same_values() -> None:
    """Except those of the process, which are as of the moment when a page is made."""
    sampler = made(Scripted(), Now(), durations="category")
    zipped = gzip.decompress(sampler.page(openmetrics=True, zipped=True)).decode()
    pages = [
        parsed(sampler.page().decode()),
        parsed(gzip.decompress(sampler.page(zipped=True)).decode()),
        *(as_values(text) for text in (sampler.page(openmetrics=True).decode(), zipped)),
    ]
    steady = [
        {key: n for key, n in page.items() if not key[0].startswith("process_")} for page in pages
    ]
    assert steady[0]
    assert all(page == steady[0] for page in steady)


def as_values(openmetrics: str) -> Values:
    """Return the values on a page in OpenMetrics."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(openmetrics)
        for sample in family.samples
    }


def test_the_number_of_series_is_right() -> None:
    text = made(Scripted(), Now(), durations="reason").page().decode()
    found = parsed(text)
    ours = [name for name, _ in found if name.startswith("kvm_")]
    assert len([name for name in ours if "duration" in name]) == Durations.LINES
    more = {"kstats_vms", "kstats_vms_folded", "kstats_vm_name_collisions", "kstats_losses_total"}
    counted = [name for name, _ in found if name.startswith("kvm_") or name in more]
    assert found["kstats_series", ()] == len(counted)


def test_its_own_metrics() -> None:
    feed, now = Scripted(), Now()
    sampler = made(feed, now)
    found = scraped(sampler)
    assert found["kstats_up", ()] == found["kstats_samples_total", ()] == 1
    assert found["kstats_sample_duration_seconds", ()] > 0
    ((labels, one),) = [(dict(k[1]), v) for k, v in found.items() if k[0] == "kstats_build_info"]
    assert one == 1
    assert labels.items() >= {"arch": "x64", "isa": "vmx", "probe": "raw", "kernel": "6.1"}.items()
    assert series(found, "kstats_map_entries", "map") == {("threads",): 1024}
    assert (
        found["process_start_time_seconds", ()] <= found["kstats_last_sample_timestamp_seconds", ()]
    )


def test_maps_are_looked_at_once_a_minute() -> None:
    feed, now = Scripted(), Now()
    sampler = made(feed, now)
    for _ in range(61):
        sampler.sample()
        now.time += 1
    assert feed.looked == 2


def test_the_page_for_node_exporter_has_no_metrics_of_a_process() -> None:
    sampler = made(Scripted(), Now())
    sampler.sample()
    text = sampler.page_of_host().decode()
    assert "process_" not in text
    assert exits(parsed(text)) == 3


def test_a_host_without_kvm_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    feed, now, tries = Scripted(), Now(), []

    def opened() -> Scripted:
        tries.append(now.time)
        if len(tries) < 3:
            raise UnsupportedHostError("KVM is not loaded", "load it: modprobe kvm_intel")
        return feed

    sampler = Sampler(opened, Settings(), now)
    for _ in range(2 * int(UNASKED)):
        found = scraped(sampler)
        assert found["kstats_up", ()] == 0
        assert not sampler.is_counting
        now.time += 1
    assert tries == [1000.0, 1000.0 + UNASKED]  # not at each scrape
    found = scraped(sampler)
    assert found["kstats_up", ()] == 1
    assert exits(found) == 3
    complaints = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert [r.getMessage() for r in complaints] == ["cannot count"]
    fields = vars(complaints[0])["fields"]
    assert fields == {"reason": "KVM is not loaded", "hint": "load it: modprobe kvm_intel"}


def test_what_else_is_wrong_at_the_beginning_ends_it() -> None:
    def opened() -> Scripted:
        raise PrivilegeError("not permitted", "run as root")

    with pytest.raises(PrivilegeError):
        Sampler(opened, Settings(), Now()).sample()


def test_a_sample_that_fails_is_counted_and_the_next_one_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    feed, now = Scripted(), Now()
    sampler = made(feed, now)
    sampler.sample()
    for fault in (KstatsError("gone"), KstatsError("gone"), OSError(5, "Input/output error")):
        feed.fault = fault
        now.time += 5
        found = scraped(sampler)
        assert found["kstats_up", ()] == 0
        assert exits(found) == 3  # no hole
    feed.fault = None
    now.time += 5
    found = scraped(sampler)
    assert found["kstats_up", ()] == 1
    assert found["kstats_sample_failures_total", ()] == 3
    assert exits(found) == 6
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 2


def test_notes_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    feed, now = Scripted(notes=("kvm_intel was unloaded",)), Now()
    sampler = made(feed, now)
    for _ in range(5):
        sampler.sample()
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "kvm_intel was unloaded"
    ]


def test_closing_ends_counting() -> None:
    feed = Scripted()
    sampler = made(feed, Now())
    sampler.sample()
    sampler.close()
    assert feed.closed
