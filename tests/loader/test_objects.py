"""Prebuilt objects: every program of every command has one, and no other is ever loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from kstats import csource
from kstats.arch import BUILT_IN
from kstats.collector import prebuild
from kstats.collector.details import Detail
from kstats.collector.feature import Feature
from kstats.collector.handlers import Handlers
from kstats.collector.latency import Latency
from kstats.collector.percpu import PER_CPU, Entries, ExitsByCpu
from kstats.collector.slow_exits import SlowExits
from kstats.collector.target import Target
from kstats.collector.threads import ExitsByThread
from kstats.collector.tracepoints import Tracepoints
from kstats.collector.vcpu_time import VcpuTimes
from kstats.errors import LoadError
from kstats.host import Host
from kstats.loader import objects, patch, program
from kstats.loader.plan import Plan

FOLDER = csource.Objects()


def targets() -> Iterator[Target]:
    """Yield this machine as a target of each source of exits."""
    for arch in BUILT_IN:
        for source in arch.sources:
            yield Target(Host(), arch, source, source.probes)


def commands(target: Target) -> Iterator[tuple[Feature, ...]]:
    """Yield the features that commands load: those of a view, a recording and an exporter."""
    events = Tracepoints.kvmstat(target.arch, target.source.isa)
    yield PER_CPU
    yield (ExitsByCpu(),)
    yield (ExitsByThread(), events)
    for kind in ("", *(detail.name for detail in target.source.details)):
        exits = (ExitsByThread(), *((Detail.find(target, kind),) if kind else ()))
        yield (*exits, Handlers())
        yield (*exits, Latency(by_cpu=True, detail=kind), Entries())
        latency = Latency(detail=kind)
        for more in ((), (latency,), (latency, SlowExits(123456))):
            for time in ((), (VcpuTimes(),)):
                yield (*exits, *more, *time)
                yield (*exits, *more, *time, Entries(), events)


def test_every_command_has_an_object_for_every_probe() -> None:
    for target in targets():
        for features in commands(target):
            plan = target.plan(features)
            assert objects.missing(plan) == ""
            for probe in plan.probes:
                assert objects.read(plan, probe), (features, probe.name)


def test_there_is_no_object_that_no_command_uses() -> None:
    plans = (target.plan(features) for target in targets() for features in commands(target))
    used = {objects.name(plan, probe) for plan in plans for probe in plan.probes}
    folder = Path(csource.directory(), "objects")
    assert {path.name for path in folder.iterdir()} == used


def plan() -> Plan:
    """Return the plan of ``kstats cpu`` on an AMD host."""
    (target,) = (t for t in targets() if t.source.isa == "svm")
    return target.plan(PER_CPU)


def test_an_object_is_found_only_for_exactly_its_program(tmp_path: Path) -> None:
    one = attrs.evolve(plan(), prebuilt=None)
    probe = one.probes[0]
    different = (
        attrs.evolve(one, text=one.text + "\n"),
        attrs.evolve(one, defines={**one.defines, "KSTATS_SLOTS": 7}),
        attrs.evolve(one, numbers={**one.numbers, "MORE": 1}),
    )
    names = {objects.name(p, probe) for p in (one, *different)}
    assert len(names) == 4
    assert objects.name(attrs.evolve(one, numbers={"KSTATS_CPUS": 99}), probe) in names
    for other in different:
        assert objects.read(other, probe) is None
    assert objects.missing(different[0]) == (
        "no prebuilt object has this program; those that exist are of another version"
    )
    assert objects.read(attrs.evolve(one, objects=tmp_path), probe) is None


def test_a_build_without_clang_has_no_objects(tmp_path: Path) -> None:
    without = attrs.evolve(plan(), objects=tmp_path / "none")
    why = "kstats was built without prebuilt objects (clang was missing)"
    assert objects.missing(without) == why
    assert objects.missing(attrs.evolve(without, objects=None)) == why
    with pytest.raises(LoadError, match="no loader works here: prebuilt: kstats was built without"):
        program.load(without, "prebuilt")


def test_long_lists_of_threads_need_bcc() -> None:
    ids = tuple(range(1, patch.LISTED + 2))
    assert objects.missing(attrs.evolve(plan(), pids=ids[:-1], tids=ids[:-1])) == ""
    for more in (attrs.evolve(plan(), pids=ids), attrs.evolve(plan(), tids=ids)):
        assert objects.missing(more) == "more than 16 processes or threads are selected"


def test_the_same_tree_gives_the_same_bytes_wherever_it_is() -> None:
    one = plan()
    probe = one.probes[0]
    built = objects.read(one, probe)
    assert built == prebuild.compile_object(one, probe)
    assert str(Path(__file__).parent.parent.parent).encode() not in (built or b"")


def test_without_a_compiler_the_build_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(prebuild.BuildError, match="clang is not installed"):
        prebuild.main(str(tmp_path / "objects"))
