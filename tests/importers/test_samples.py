"""Output of perf, ftrace, trace-cmd, kvmexit and kvm_stat, compared with kstats' own counts.

Each folder of tests/data/decode is one run of one guest in an emulated host, watched by all tools
at the same time; the README there says how the files were made.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from kstats import arch as arches
from kstats.importers import decode
from kstats.model import Sample
from kstats.views.exits import count_by

DATA = Path(__file__).parent.parent / "data" / "decode"
FILES = sorted(path for path in DATA.glob("*/*") if path.suffix != ".json")
FORMAT_OF = {
    "perf.txt": "perf",
    "perf-pid.txt": "perf",
    "ftrace.txt": "ftrace",
    "trace-cmd.txt": "ftrace",
    "trace-cmd-N.txt": "ftrace",
    "kvmexit.txt": "kvmexit",
    "kvm_stat.csv": "kvm_stat",
    "kvm_stat.log": "kvm_stat",
}
KEYS = ("cpu", "pid", "tid", "reason")

Counts = Counter[tuple[object, ...]]


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


def isa_of(path: Path) -> str:
    """The host's name is its ISA, and perhaps a kernel."""
    return path.parent.name.partition("-")[0]


def decoded(path: Path, interval: float | None = None) -> list[Sample]:
    with path.open("rb") as stream:
        return list(decode(stream, interval=interval))


def counted(path: Path, by: tuple[str, ...]) -> Counts:
    """What kstats counted of the same run."""
    counts: Counts = Counter()
    for row in json.loads((path.parent / "kstats.json").read_text(encoding="utf-8")):
        counts[tuple(row[key] for key in by)] += row["count"]
    return counts


@pytest.mark.parametrize("path", FILES, ids=named)
def test_it_is_recognised(path: Path) -> None:
    with path.open("rb") as stream:
        found = decode(stream)
        assert (found.format, found.isa) == (FORMAT_OF[path.name], isa_of(path))
        notes = [sample.notes for sample in found]
    assert [note for of_one in notes for note in of_one if "not understood" in note] == []


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".txt"], ids=named)
def test_counts_are_those_of_kstats(path: Path) -> None:
    """By CPU, process and thread, as far as the format has them."""
    (sample,) = decoded(path)
    pidless = ("cpu", "tid")
    axes = {
        "perf.txt": pidless,
        "trace-cmd.txt": pidless,
        "trace-cmd-N.txt": pidless,
        "kvmexit.txt": ("pid", "tid"),
    }
    by = (*axes.get(path.name, ("cpu", "pid", "tid")), "reason")
    assert count_by(sample, by) == counted(path, by)


@pytest.mark.parametrize("path", [p for p in FILES if "kvm_stat" in p.name], ids=named)
def test_kvm_stat_has_names_and_a_sum(path: Path) -> None:
    """Exits without a name in kvm_stat, and those that it mixes, have no code."""
    (sample,) = decoded(path)
    wanted: Counts = Counter()
    for (reason,), n in counted(path, ("reason",)).items():
        wanted[str(reason).partition(":")[0],] += n  # and one for both ways of an MSR access
    found: Counts = Counter()
    for reason, n in count_by(sample, ("reason",)).items():
        found[reason] += n
    nameless = found.pop(("?",), 0)
    assert found.total() + nameless == wanted.total()
    assert nameless == (wanted - found).total()
    assert found <= wanted


@pytest.mark.parametrize("path", [p for p in FILES if p.name[:4] in ("perf", "trac")], ids=named)
def test_entries_follow_exits(path: Path) -> None:
    """The trace begins with an entry and ends with an exit, for each vCPU."""
    (sample,) = decoded(path)
    exits = Counter[int]()
    for places in sample.exits.values():
        for place, of in places.items():
            exits[place.cpu] += of.count
    assert Counter(sample.entries) == exits


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "kvmexit.txt"], ids=named)
def test_intervals_sum_to_the_whole(path: Path) -> None:
    (whole,) = decoded(path)
    parts = decoded(path, 0.01 if path.suffix == ".txt" else 2)
    assert len(parts) > 1 or path.suffix != ".txt"
    summed: Counts = Counter()
    for part in parts:
        summed += count_by(part, ("cpu", "tid", "reason"))
    assert summed == count_by(whole, ("cpu", "tid", "reason"))
    assert sum(part.elapsed for part in parts) <= whole.elapsed + 1e-6


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_format_can_be_forced_and_an_isa_named(path: Path) -> None:
    isa = isa_of(path)
    for name in (isa, next(arch.name for arch in arches.arches() if arch.isa(isa))):
        with path.open("rb") as stream:
            found = decode(stream, format=FORMAT_OF[path.name], isa=name)
            assert found.isa == isa
            assert list(found)


def test_most_formats_have_a_sample() -> None:
    """A bare list is written by hand."""
    assert {path.name for path in FILES} == FORMAT_OF.keys()
    assert set(map(isa_of, FILES)) == {"svm", "vmx", "arm64"}
