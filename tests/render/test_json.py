"""JSON Lines are valid by the shipped schema, and the schema rejects wrong reports."""

from __future__ import annotations

import io
import json
from importlib.resources import files
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import given

from kstats import arch as arches
from kstats.arch.kvmstat import COLUMNS
from kstats.model import Exits, Place, Sample
from kstats.render.jsonlines import JsonRenderer
from kstats.topology import LEVELS, CpuTopology
from kstats.views.percpu import Options, PerCpuView
from kstats.views.vcpu import Options as VcpuOptions
from kstats.views.vcpu import VcpuView
from kstats.vms.identity import Kind, Thread, Vcpu, Vm
from tests.samples import MOMENT, SAMPLES, sample

SCHEMA = json.loads((files("kstats.render") / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

ZEROS = dict.fromkeys(arches.column_keys("x64"), 0)

WRITE = ("svm", 2 << 32 | 0x7C)
LOST = "exit with a dropped code: counted under vm_exit and other, without their number"
BUSY = sample(
    {WRITE: {0: 3}, ("svm", 0x400): {1: 2}}, entries={0: 4}, code_dropped={1: 1}, notes=("n",)
)


def report(of: Sample, **options: Any) -> Any:
    """Return the report as a reader parses it."""
    stream = io.StringIO()
    JsonRenderer(stream).write(PerCpuView(Options(detail=True, **options)).table(of))
    line = stream.getvalue()
    assert line.index("\n") == len(line) - 1
    return json.loads(line)


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_report_in_full() -> None:
    assert report(BUSY, total=True, cpus=(1,)) == {
        "time": "2026-01-31T12:00:00.250Z",
        "elapsed": 1.0,
        "arch": "x64",
        "unit": "count",
        "rows": [
            {"cpu": 1, "vm_entry": 0, "vm_exit": 3}
            | ZEROS
            | {
                "ept": 2,
                "other": 1,
                "exits": [
                    {"isa": "svm", "code": 0x400, "qualifier": 0, "reason": "npf", "count": 2}
                ],
            }
        ],
        "total": {"vm_entry": 0, "vm_exit": 3}
        | ZEROS
        | {
            "ept": 2,
            "other": 1,
            "exits": [{"isa": "svm", "code": 0x400, "qualifier": 0, "reason": "npf", "count": 2}],
        },
        "code_dropped": 1,
        "unsupported_isa": 0,
        "missed": 0,
        "notes": [
            "n",
            f"1 {LOST}",
        ],
    }


def test_a_code_is_the_kernels_number_and_its_qualifier() -> None:
    (exit_,) = report(BUSY)["rows"][0]["exits"]
    assert exit_ == {"isa": "svm", "code": 0x7C, "qualifier": 2, "reason": "msr:wr", "count": 3}


@pytest.mark.parametrize("arch", [arch.name for arch in arches.BUILT_IN])
def test_a_row_has_the_columns_in_the_order_of_the_table(arch: str) -> None:
    (row,) = report(sample(arch=arch, cpus=(0,)))["rows"]
    assert tuple(row) == ("cpu", "vm_entry", "vm_exit", *arches.column_keys(arch), "exits")


@pytest.mark.parametrize("options", [{}, {"rate": True}, {"reasons": True}, {"total": True}])
def test_reports_are_valid(options: dict[str, bool]) -> None:
    for of in (BUSY, sample(arch="arm64"), sample({("arm64", 1 << 32): {0: 1}}, arch="arm64")):
        VALIDATOR.validate(report(of, **options))


@pytest.mark.parametrize("by", LEVELS)
@pytest.mark.parametrize("topology", [{7: CpuTopology()}, {n: CpuTopology(0, n) for n in (0, 1)}])
def test_sums_of_cpus_are_valid(by: str, topology: dict[int, CpuTopology]) -> None:
    of = attrs.evolve(BUSY, cpus=(0, 1, 2), topology=topology)
    written = report(of, by=by, top=1, sort="vm_exit", total=True)
    assert written["rows"][0].keys() >= {by, "vm_exit"}
    assert by not in written["total"]
    VALIDATOR.validate(written)


@given(SAMPLES)
def test_any_sample_makes_a_valid_report(of: Sample) -> None:
    for options in ({"total": True}, {"rate": True}, {"reasons": True, "nonzero": True}):
        VALIDATOR.validate(report(of, **options))


def test_rates_are_rounded_and_have_their_unit() -> None:
    got = report(sample(entries={0: 1}, elapsed=3.0), rate=True)
    assert got["unit"] == "per_second"
    assert got["rows"][0]["vm_entry"] == 0.333


def wrong(**changes: Any) -> Any:
    """Return a report with changed values; None removes one."""
    changed = report(BUSY, total=True) | changes
    return {key: value for key, value in changed.items() if value is not None}


def wrong_row(**changes: Any) -> Any:
    """Return a report with changed values in its first row; None removes one."""
    row = report(BUSY)["rows"][0] | changes
    return wrong(rows=[{key: value for key, value in row.items() if value is not None}])


def wrong_exit(**changes: Any) -> Any:
    """Return a report with a changed reason in its first row."""
    return wrong_row(exits=[report(BUSY)["rows"][0]["exits"][0] | changes])


@pytest.mark.parametrize(
    "instance",
    [
        wrong(time="2026-01-31 12:00:00"),
        wrong(elapsed=-1),
        wrong(arch=None),
        wrong(unit="exits"),
        wrong(rows={}),
        wrong(code_dropped=None),
        wrong(missed=0.5),
        wrong(extra=1),
        wrong(notes=[1]),
        wrong(notes=[""]),
        wrong(total=report(BUSY)["rows"][0]),
        wrong_row(cpu=None),
        wrong_row(cpu="0"),
        wrong_row(cpu=-1),
        wrong_row(vm_exit=None),
        wrong_row(ept=None),
        wrong_row(ints=None),
        wrong_row(ept=-1),
        wrong_row(ept=0.5),
        wrong_row(ept="1"),
        wrong_row(data_abt=1),
        wrong_row(exits=None),
        wrong_exit(code=1 << 32),
        wrong_exit(reason=""),
        wrong_exit(count=1.5),
        wrong_exit(extra=1),
        report(BUSY) | {"arch": "arm64"},
        [],
    ],
)
def test_a_wrong_report_is_invalid(instance: Any) -> None:
    assert not VALIDATOR.is_valid(instance)


def test_the_wrong_reports_are_valid_without_the_change() -> None:
    for instance in (wrong(), wrong_row(), wrong_exit()):
        VALIDATOR.validate(instance)


VCPU = Sample(
    arch="x64",
    time=MOMENT,
    elapsed=2.0,
    cpus=(0,),
    entries={},
    exits={("svm", 0x78): {Place(0, 0): Exits(3)}},
    isa="svm",
    threads={7 << 32 | 8: Thread(8, 7, 1, Vm(7, 1, Kind.QEMU, "web"))},
)


def vcpu_report(of: Sample = VCPU, **options: Any) -> Any:
    """Return a report of kstats vcpu as a reader parses it."""
    stream = io.StringIO()
    JsonRenderer(stream).write(VcpuView(VcpuOptions(**options)).table(of))
    return json.loads(stream.getvalue())


def test_a_report_of_vcpus_in_full() -> None:
    counts = dict.fromkeys(["irqx", "irqwx", "iox", "eptv"], 0)
    unknown = dict.fromkeys(["mmiox", "irqs", "emul"])
    got = vcpu_report(total=True)
    assert got["rows"] == [
        {"pid": 7, "vcpu": 1, "exits": 0, "haltx": 0} | counts | unknown,
        {"pid": "?", "vcpu": "?", "exits": 3, "haltx": 3} | counts | unknown,
    ]
    assert got["total"] == {"exits": 3, "haltx": 3} | counts | unknown
    assert list(got["rows"][0])[2:] == list(COLUMNS)
    assert {"missed", "code_dropped", "unsupported_isa", "unit", "arch", "notes"} < got.keys()


@pytest.mark.parametrize("options", [{}, {"rate": True}, {"total": True}])
def test_reports_of_vcpus_are_valid(options: dict[str, Any]) -> None:
    VALIDATOR.validate(vcpu_report(**options))
    VALIDATOR.validate(vcpu_report(attrs.evolve(VCPU, counters={Vcpu(7, 1, 2, 3): {}}), **options))


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": "web"},
        {"pid": -1},
        {"vcpu": None},
        {"haltx": "0"},
        {"haltx": 0.5},
        {"haltx": -1},
        {"other": 1},
    ],
)
def test_a_wrong_row_of_a_vcpu_is_invalid(changes: dict[str, Any]) -> None:
    whole = vcpu_report()
    assert not VALIDATOR.is_valid(whole | {"rows": [whole["rows"][0] | changes]})


@given(SAMPLES)
def test_any_sample_makes_a_valid_report_of_vcpus(of: Sample) -> None:
    for options in ({"total": True}, {"rate": True}, {"nonzero": True}):
        VALIDATOR.validate(vcpu_report(of, **options))


def test_an_installed_backend_may_have_any_columns() -> None:
    row = {"cpu": 0, "vm_entry": 1, "vm_exit": 1, "knock": 1, "other": 0, "exits": []}
    instance = wrong(arch="toy", rows=[row], total=None)
    VALIDATOR.validate(instance)
    assert not VALIDATOR.is_valid(instance | {"rows": [row | {"knock": "1"}]})
