"""Exits by detail: the difference between two readings, and the kernel's side."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs
import pytest

from kstats.arch.base import DetailEvent, DetailSource
from kstats.arch.details import UNKNOWN, Access, Parts
from kstats.arch.x64 import X64
from kstats.collector import details
from kstats.collector.details import Detail, DetailKey
from kstats.collector.feature import Feature
from kstats.collector.latency import Latency
from kstats.collector.live import Collector
from kstats.collector.percpu import Entries
from kstats.collector.threads import ExitsByThread
from kstats.errors import BackendError, UsageError
from kstats.filters import ThreadFilter
from kstats.model import Exits, Place, Sample
from tests.collector import kernel
from tests.collector.native import SOURCE, target
from tests.collector.readings import HER, ME, between, totals
from tests.collector.test_threads import me
from tests.samples import counts

KIND = DetailSource("tone", ("NATIVE_TONE",), SOURCE.probes)
COUNTING = Detail(KIND, Path("tones.c"))

Totals = Mapping[tuple[int, int, int, int], int]


def sample(before: Totals, now: Totals, without: Mapping[tuple[int, int, int], int]) -> Sample:
    """What is counted between two sets of totals, and ``without`` a detail."""
    return between((COUNTING, stored(before), stored(now)), (ExitsByThread(), {}, totals(without)))


def stored(totals: Totals) -> dict[bytes, int]:
    """Return totals as the kernel stores them."""
    return {
        bytes(DetailKey(thread, code, cpu, detail)): n
        for (thread, code, cpu, detail), n in totals.items()
    }


def test_a_sample_has_the_details_and_their_exits_among_the_others() -> None:
    got = sample(
        {(ME, 1, 0, 7): 5, (ME, 1, 0, 8): 2},
        {(ME, 1, 0, 7): 6, (ME, 1, 0, 8): 2, (ME, 1, 1, 7): 3, (HER, 2, 0, 7): 4},
        {(ME, 1, 0): 10, (HER, 9, 0): 1},
    )
    assert counts(got.exits) == {
        ("native", 1): {(0, ME): 10, (0, ME, 7): 1, (1, ME, 7): 3},
        ("native", 2): {(0, HER, 7): 4},
        ("native", 9): {(0, HER): 1},
    }
    assert got.detail == "tone"


def test_a_detail_uses_the_probes_that_are_available() -> None:
    svm, vmx = (next(s for s in X64.sources if s.isa == isa) for isa in ("svm", "vmx"))
    assert [p.name for p in details.find(svm, svm.probes, "io").probes] == [
        probe.name for probe in svm.probes
    ]
    forced = tuple(probe for probe in vmx.probes if probe.name == "raw-btf")
    assert [probe.name for probe in details.find(vmx, forced, "msr").probes] == ["raw-btf"]
    with pytest.raises(UsageError, match="probe raw-btf cannot read the detail 'io'") as caught:
        details.find(vmx, forced, "io")
    assert caught.value.hint == "probes: classic"
    with pytest.raises(UsageError, match="vmx exits have no detail 'sysreg'") as caught:
        details.find(vmx, vmx.probes, "sysreg")
    assert caught.value.hint == "details: msr, io, mmio, page, hypercall, cr"


def test_a_backend_without_the_c_file_is_an_error() -> None:
    without = attrs.evolve(target(), arch=X64._replace(bpf_detail=None), source=X64.sources[0])
    with pytest.raises(BackendError, match="backend x64 has no C file for msr"):
        Detail.find(attrs.evolve(without, probes=without.source.probes), "msr")


# Codes 1 and 2 carry their first argument. For code 3 the other tracepoint reports it later.
TONES = """
#ifdef NATIVE_TONE
static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	u64 tone = ((struct raw_args *)ctx)->arg[0];

	if (code == 3)
		return DETAIL_PENDING;
	if (code != 1 && code != 2)
		return NO_DETAIL;
	if (!tone)
		return UNREADABLE;
	*detail = DETAIL(ACCESS_READ, 4, tone);
	return DECODED;
}

int on_tone(void *ctx)
{
	report_detail(3, DETAIL(ACCESS_WRITE, TONE_ARGS, ((struct raw_args *)ctx)->arg[0]));
	return SEEN;
}
#endif
"""
LATER = KIND._replace(events=(DetailEvent("kvm_entry", "on_tone", "TONE_ARGS"),))


@pytest.fixture
def count_with(tmp_path: Path, _on_cpu_0: None) -> Iterator[Callable[..., Collector]]:
    """Collectors of exits with their tones."""
    made: list[Collector] = []
    file = tmp_path / "tones.c"
    file.write_text(TONES, encoding="utf-8")

    def make(
        way: DetailSource = LATER, room: int = 64, *, timed: bool = False, by_cpu: bool = False
    ) -> Collector:
        machine = target()
        alone = ThreadFilter(pids=frozenset({os.getpid()}))
        features: list[Feature] = [
            Detail(way, file, room),
            ExitsByThread(alone, more_threads=room),
        ]
        if timed:
            features += [Latency(by_cpu=by_cpu, detail=way.name), Entries()]
        made.append(Collector(machine, features))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


def exit_(collector: Collector, code: int, tone: int = 0) -> None:
    kernel.fire_here(collector.loaded.programs["on_exit"], tone, code)


def report(collector: Collector, tone: int) -> None:
    kernel.fire_here(collector.loaded.programs["on_tone"], tone)


def counted(collector: Collector) -> tuple[dict[int, int], dict[int, Counter[int]]]:
    """Exits by code, and of each code by detail, all of them mine."""
    got = collector.sample()
    exits = {code: sum(e.count for e in at.values()) for (_, code), at in got.exits.items()}
    assert {place.thread for at in got.exits.values() for place in at} <= {me()}
    by_code = {code: by_detail(at) for (_, code), at in got.exits.items()}
    return exits, {code: found for code, found in by_code.items() if found}


def by_detail(at: Mapping[Place, Exits]) -> Counter[int]:
    found: Counter[int] = Counter()
    for place, exits_there in at.items():
        if place.detail is not None:
            found[place.detail] += exits_there.count
    return +found


def read(tone: int) -> int:
    return Parts(Access.READ, 4, tone).detail


@pytest.mark.root
def test_exits_are_counted_by_detail(count_with: Callable[..., Collector]) -> None:
    collector = count_with()
    for code, tone in ((1, 440), (1, 440), (2, 440), (1, 880), (99, 440), (1, 0)):
        exit_(collector, code, tone)
    exits, by_code = counted(collector)
    assert exits == {1: 4, 2: 1, 99: 1}
    assert by_code == {
        1: Counter({read(440): 2, read(880): 1, UNKNOWN: 1}),
        2: Counter({read(440): 1}),
    }
    assert counted(collector) == ({}, {})


@pytest.mark.root
def test_a_pending_detail_belongs_to_the_last_exit(count_with: Callable[..., Collector]) -> None:
    """The first reported detail counts. Without one, an exit is counted at the next exit."""
    collector = count_with()
    report(collector, 1)  # for an exit before counting began
    exit_(collector, 3)
    assert counted(collector) == ({}, {})
    report(collector, 440)
    report(collector, 880)
    exit_(collector, 3)
    exit_(collector, 99)
    report(collector, 220)  # the last exit carries no detail
    exits, by_code = counted(collector)
    (args,) = {Parts.of(detail).size for detail in by_code[3] if detail != UNKNOWN}
    assert args == collector.loaded.numbers["TONE_ARGS"]
    assert exits == {3: 2, 99: 1}
    assert by_code == {3: Counter({Parts(Access.WRITE, args, 440).detail: 1, UNKNOWN: 1})}


@pytest.mark.root
def test_a_full_table_drops_the_detail_and_keeps_the_exit(
    count_with: Callable[..., Collector],
) -> None:
    collector = count_with(room=8)
    for tone in range(1, 501):
        exit_(collector, 1, tone)
    for tone in range(1, 101):
        exit_(collector, 3)
        report(collector, tone)
    exits, by_code = counted(collector)
    assert exits == {1: 500, 3: 100}
    kept = Counter({read(tone): 1 for tone in range(1, 9)})
    assert kept <= by_code.pop(1)  # the kernel has a spare entry or two for each CPU
    assert sum(at.total() for at in by_code.values()) < 100


def lasting(collector: Collector, code: int, tone: int, seconds: float, later: int = 0) -> None:
    """Fire an exit, a detail that is reported ``later``, and an entry after so long."""
    exit_(collector, code, tone)
    if later:
        report(collector, later)
    time.sleep(seconds)
    kernel.fire_here(collector.loaded.programs["on_entry"])


@pytest.mark.root
@pytest.mark.parametrize("by_cpu", [False, True])
def test_latencies_are_kept_by_detail(
    count_with: Callable[..., Collector],
    by_cpu: bool,  # noqa: FBT001 - data
) -> None:
    collector = count_with(timed=True, by_cpu=by_cpu)
    for tone, seconds in ((440, 0.02), (440, 0.03), (880, 0.001)):
        lasting(collector, 1, tone, seconds)
    lasting(collector, 3, 0, 0.01, later=220)
    lasting(collector, 99, 440, 0.001)  # carries no detail
    exit_(collector, 1, 660)  # has not ended
    got = collector.sample()
    args = collector.loaded.numbers["TONE_ARGS"]
    cpu = 0 if by_cpu else -1
    took = {
        code: {place: e.latency for place, e in at.items() if e.latency}
        for code, at in got.exits.items()
    }
    assert {code: set(at) for (_, code), at in took.items() if at} == {
        1: {Place(cpu, me(), read(440)), Place(cpu, me(), read(880))},
        3: {Place(cpu, me(), Parts(Access.WRITE, args, 220).detail)},
    }
    slow, quick = (took["native", 1][Place(cpu, me(), read(tone))] for tone in (440, 880))
    assert (slow.count, quick.count) == (2, 1)
    assert slow.total >= 50_000_000
    assert slow.minimum >= 20_000_000
    assert 1_000_000 <= quick.total < slow.total
    assert (got.timed, got.detail, got.latency_dropped) == (True, "tone", 0)
    assert got.exits["native", 1][Place(0, me(), read(660))].count == 1


@pytest.mark.root
def test_an_entry_does_not_end_an_exit_before_the_last(
    count_with: Callable[..., Collector],
) -> None:
    """Some kernels enter the guest without kvm_entry. The next exit then has started anew."""
    collector = count_with(timed=True)
    exit_(collector, 1, 440)
    lasting(collector, 99, 0, 0.001)
    got = collector.sample()
    assert not any(e.latency for at in got.exits.values() for e in at.values())
    assert (got.timed, got.latency_dropped) == (True, 1)
