"""Structs of the C and their mirrors in Python agree, field by field."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence

import attrs
import pytest

from kstats import arch as arches
from kstats.collector import prebuild
from kstats.collector.details import Detail
from kstats.collector.feature import Feature
from kstats.collector.latency import DetailLatencyKey, Latency, LatencyKey, OpenExit
from kstats.collector.percpu import Entries, PercpuCounts
from kstats.collector.slow_exits import SlowExits
from kstats.collector.threads import ExitsByThread
from kstats.collector.vcpu_time import VcpuTimes
from kstats.loader.records import Record
from tests.collector.native import target_of

BEGINNINGS = {PercpuCounts, OpenExit}
"""The C has more fields, at the end."""

EVERYTHING = (VcpuTimes(), SlowExits(500), Latency(), Entries(), ExitsByThread())


def subclasses(cls: type[Record]) -> Iterator[type[Record]]:
    for one in cls.__subclasses__():
        yield one
        yield from subclasses(one)


def offsets(record: type[Record]) -> dict[str, int]:
    """Return the offset of each field, those of its base classes included."""
    names = (name for base in record.__mro__ for name, *_ in vars(base).get("_fields_", ()))
    return {name: getattr(record, name).offset for name in names}


def assertions(record: type[Record]) -> Iterator[str]:
    """Yield C that does not compile where the struct is another one."""
    for name, offset in offsets(record).items():
        same = f"__builtin_offsetof(struct {record.c_name}, {name}) == {offset}"
        yield f'_Static_assert({same}, "{record.c_name}.{name}");\n'
    size = "<=" if record in BEGINNINGS else "=="
    same = f"{ctypes.sizeof(record)} {size} sizeof(struct {record.c_name})"
    yield f'_Static_assert({same}, "{record.c_name}");\n'


def test_a_record_unpacks_as_its_fields_are_declared() -> None:
    key = DetailLatencyKey(thread=1, code=2, cpu=3, power=4, detail=5)
    assert DetailLatencyKey.unpacker().unpack(bytes(key)) == (1, 2, 3, 4, 5)
    for record in subclasses(Record):
        assert record.unpacker().size == ctypes.sizeof(record)


@pytest.mark.parametrize("detail", [False, True])
def test_the_structs_of_the_c_are_these(*, detail: bool) -> None:
    machine = target_of("vmx")
    features: Sequence[Feature] = EVERYTHING
    if detail:
        features = (*EVERYTHING[:2], Latency(detail="msr"), *EVERYTHING[3:])
        features = (*features, Detail.find(machine, "msr"))
    plan = machine.plan(features, attach=False)
    probe = next(probe for probe in plan.probes if probe.name == "raw-btf")
    given = {"detail_key"} if not detail else set()
    left_out = LatencyKey if detail else DetailLatencyKey
    text = plan.text + "".join(
        line
        for record in subclasses(Record)
        if record.c_name not in given and record is not left_out
        if f"struct {record.c_name} {{" in plan.text
        for line in assertions(record)
    )
    prebuild.compile_object(attrs.evolve(plan, text=text, prebuilt=None), probe)
    assert text.count("_Static_assert") > 30


def test_the_order_of_features_does_not_matter() -> None:
    machine = target_of("svm")
    plans = (machine.plan(features) for features in (EVERYTHING, EVERYTHING[::-1]))
    first, second = (attrs.asdict(plan, recurse=False) for plan in plans)
    assert first == second


@pytest.mark.parametrize("arch", [arch.name for arch in arches.arches()])
def test_every_detail_has_the_offsets_of_its_own_probes(arch: str) -> None:
    """A detail needs more of a probe than counting does."""
    for isa in (source.isa for source in arches.find(arch).sources):
        machine = target_of(isa)
        for source in machine.source.details:
            assert machine.plan((Detail.find(machine, source.name),)).probes == source.probes
