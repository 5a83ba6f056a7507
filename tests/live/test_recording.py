"""Recordings of emulated KVM hosts, read there and on this machine."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest

from kstats import arch as arches
from kstats import recording
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK
from kstats.model import Sample
from lab.hosts import Host
from lab.hosts.command import Command
from tests.live.conftest import Bed, beds
from tests.live.guests import at_any_time, expected, guest
from tests.live.kstats import ATTACHED, ExitId, here

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm", "arm64"), indirect=True, scope="session"),
]

PER_CPU = ("-v", "--total", "-t")
BY_AXES = ("exits", "--by", "cpu,vm,vcpu,reason", "-f", "json")
PER_VCPU = ("vcpu", "--total")
KERNELS = ("vcpu", "--source", "kernel", "-f", "json")
SLOW = ("exits", "--slower-than", "100us", "-f", "json")
VIEWS = (PER_CPU, BY_AXES, PER_VCPU, KERNELS, SLOW)


@attrs.frozen
class Kept:
    """The live reports on a guest, and the recordings made at the same time."""

    shown: dict[tuple[str, ...], str]
    files: dict[tuple[str, ...], str]
    copies: dict[tuple[str, ...], Path]
    samples: tuple[Sample, ...]
    header: recording.Header
    ordinary: Path
    everything: Path
    said: str

    def exits(self, samples: Iterable[Sample] | None = None) -> Counter[ExitId]:
        """Return the exits by identity, as kstats record has them."""
        counts: Counter[ExitId] = Counter()
        for sample in self.samples if samples is None else samples:
            for (isa, code), at in sample.exits.items():
                identity = isa, code & NUMBER_MASK, code >> NUMBER_BITS
                counts[identity] += sum(exits.count for exits in at.values())
        return counts


def running(host: Host, *words: str) -> Command:
    """Start kstats with ``--debug``, which reports when counting begins."""
    return host.start(["kstats", *words, "--debug"])


@pytest.fixture(scope="module")
def kept(bed: Bed, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Run views that record, and kstats record, at the same time around a guest."""
    folder = tmp_path_factory.mktemp(bed.recipe)
    files = {words: f"/run/{number}.jsonl" for number, words in enumerate(VIEWS)}
    with ExitStack() as stack:
        views = {
            words: stack.enter_context(running(host, *words, "--record", file, "0.5", "999"))
            for words, file in files.items()
        }
        recorder = stack.enter_context(running(host, "record", "-o", "/run/all.jsonl", "0.5"))
        full = ("record", "--all", "-o", "/run/everything.jsonl", "0.5")
        recorders = recorder, stack.enter_context(running(host, *full))
        for command in (*views.values(), *recorders):
            command.wait_output(ATTACHED)
        with guest(host, "--cpu", "1", "--workload", bed.workload):
            host.run("sleep 1").check()
            shown = {words: view.stop().check().stdout for words, view in views.items()}
            _, ended = [one.stop().check() for one in recorders]
    copies = {words: folder / Path(file).name for words, file in files.items()}
    for words, file in files.items():
        copies[words].write_bytes(host.get(file))
    paths = [folder / name for name in ("all.jsonl", "everything.jsonl")]
    for path in paths:
        path.write_bytes(host.get(f"/run/{path.name}"))
    with recording.read(paths[0]) as source:
        return Kept(
            shown, files, copies, tuple(source), source.header, paths[0], paths[1], ended.stderr
        )


def read_here(words: tuple[str, ...], path: Path) -> str:
    """Return what a view shows of a recording on this machine."""
    # By default exits sums all samples: give it the interval of the recording.
    each = ("0.5", "999") if words[0] == "exits" else ()
    return here(*words, "--input", str(path), *each)


@pytest.mark.parametrize("words", VIEWS, ids=["percpu", "exits", "vcpu", "kernel", "slow"])
def test_a_recording_is_replayed_digit_by_digit(kept: Kept, words: tuple[str, ...]) -> None:
    assert kept.shown[words].count("\n") > 1
    assert read_here(words, kept.copies[words]) == kept.shown[words]


def test_a_recording_is_replayed_with_the_hosts_libraries(host: Host, kept: Kept) -> None:
    words = [*PER_CPU, "--input", kept.files[PER_CPU]]
    assert host.run(["kstats", *words]).check().stdout == kept.shown[PER_CPU]


def test_every_exit_of_the_guest_is_in_the_recording(bed: Bed, kept: Kept) -> None:
    counted = kept.exits()
    wanted = expected(bed.workload, bed.isa)
    assert {exit_: n for exit_, n in counted.items() if exit_ in wanted} == wanted
    assert set(counted) <= set(wanted) | at_any_time(bed.workload, bed.isa)
    entries = sum(n for sample in kept.samples for n in sample.entries.values())
    assert entries == sum(counted.values())


def empty_columns(text: str) -> set[str]:
    """Return the columns of a CSV table that have no value in some row."""
    return {
        name for row in csv.DictReader(text.splitlines()) for name, cell in row.items() if not cell
    }


def test_an_ordinary_recording_has_every_column_of_vcpu(bed: Bed, kept: Kept) -> None:
    """Columns without a value are those that cannot be counted on the ISA."""
    rules = arches.find(kept.header.arch).kvmstat[bed.isa]
    absent = {rule.column for rule in rules if not rule.is_counted}
    assert empty_columns(here("vcpu", "--input", str(kept.ordinary), "-f", "csv")) == absent


def test_with_all_every_later_view_can_be_shown(bed: Bed, kept: Kept) -> None:
    assert re.search(r"overhead: (\d+ ns per exit|unknown)", kept.said)
    path = str(kept.everything)
    for words in ("--latency", "--histogram", "--time", "--slower-than 10ms"):
        table = here("exits", *words.split(), "--input", path, "-f", "csv")
        assert table.count("\n") > 1 or words.startswith("--slower")
    with recording.read(path) as source:
        samples = list(source)
    wanted = expected(bed.workload, bed.isa)
    assert {exit_: n for exit_, n in kept.exits(samples).items() if exit_ in wanted} == wanted
    timed = sum(
        exits.latency.count
        for sample in samples
        for at in sample.exits.values()
        for exits in at.values()
        if exits.latency
    )
    # The last exit of a thread that ends is followed by no entry.
    dropped = sum(sample.latency_dropped for sample in samples)
    assert 0 <= kept.exits(samples).total() - timed - dropped <= 4


def test_the_header_describes_the_host(bed: Bed, host: Host, kept: Kept) -> None:
    header = kept.header
    assert header.host.kernel == host.kernel
    assert header.host.name
    assert header.host.cpus == 2
    assert header.host.cpu_model
    assert len(header.host.boot_id) == 36
    assert [isa.name for isa in header.isas] == [bed.isa]
    assert header.interval == 0.5
    assert header.counted == ("entries", "exits", "threads", "events")


def test_the_recorded_topology_is_the_hosts(host: Host, kept: Kept) -> None:
    """And CPUs are summed by it, on this machine."""
    folder = "/sys/devices/system/cpu/cpu{}/topology/{}"
    for sample in kept.samples:
        assert {cpu: (at.socket, at.core) for cpu, at in sample.topology.items()} == {
            cpu: (
                int(host.get(folder.format(cpu, "physical_package_id"))),
                int(host.get(folder.format(cpu, "core_id"))),
            )
            for cpu in (0, 1)
        }
    path = kept.copies[PER_CPU]
    for by in ("node", "socket", "core"):
        words = ("cpu", "--total", "--by", by, "-f", "json", "999", "1")
        (report,) = map(json.loads, read_here(words, path).splitlines())
        assert sum(row["vm_exit"] for row in report["rows"]) == report["total"]["vm_exit"] > 0
        assert "?" not in {row[by] for row in report["rows"]}


def test_threads_of_a_recording_can_be_selected(kept: Kept, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    with recording.Writer(path, kept.header) as writer:
        for sample in kept.samples:
            writer.write(sample)
    vmm = next(t for sample in kept.samples for t in sample.threads.values() if t.vcpu == 0)
    whole = json.loads(read_here(("exits", "--by", "reason", "-f", "json"), path).splitlines()[-1])
    for only in (
        ("--tid", str(vmm.tid)),
        ("-p", str(vmm.pid), "--vcpu", "0"),
        ("--vm", vmm.vm.name),
    ):
        shown = read_here(("exits", "--by", "reason", "-f", "json", *only), path)
        assert json.loads(shown.splitlines()[-1])["rows"] == whole["rows"]
