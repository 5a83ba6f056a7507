"""The file of a run, and the comparison of two runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import results
from bench.table import Budget, Table


def part(*rows: tuple[str | float | None, ...]) -> results.Part:
    headings = ("command", "unit", "takes")
    return results.part([Table("start", headings, rows, spread=0.1, noise=2)], 1.4)


def test_figures_are_numbers_and_texts_that_begin_with_one() -> None:
    measured = part(("exits", "ms", 12), ("cpu", "ms", "1,234.5 ms"), ("top", "ms", None))
    assert results.figures(measured) == {
        ("start", "exits, ms", "takes"): 12,
        ("start", "cpu, ms", "takes"): 1234.5,
    }


def test_changes_are_those_beyond_the_spread() -> None:
    old = part(("exits", "ms", 100), ("cpu", "ms", 100), ("vcpu", "ms", 0), ("gone", "ms", 1))
    new = part(("exits", "ms", 109), ("cpu", "ms", 89), ("vcpu", "ms", 3), ("top", "ms", 1))
    assert list(results.changes(old, new)) == [
        "start: cpu, ms, takes: 100 → 89 (-11%)",
        "start: vcpu, ms, takes: 0 → 3",
        "start: gone, ms, takes: gone",
        "start: top, ms, takes: new",
    ]


def test_noise_is_no_change() -> None:
    assert not list(results.changes(part(("vcpu", "ms", 0)), part(("vcpu", "ms", 2))))


def test_a_file_keeps_the_parts_that_are_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "bench" / "bench.json"
    for name, takes in (("startup", 1), ("loading", 2), ("startup", 3)):
        results.add(path, name, part(("cpu", "ms", takes)))
    kept = results.read(path)
    assert [list(results.figures(one).values()) for one in kept.values()] == [[3], [2]]
    assert kept["startup"]["seconds"] == 1
    assert set(kept["startup"]["machine"]) >= {"date", "kernel", "cpu", "cpus"}


@pytest.mark.parametrize(("found", "holds"), [(5, True), (5.1, False), (None, False)])
def test_a_budget_holds_up_to_its_most(found: float | None, *, holds: bool) -> None:
    budget = Budget("start", "MiB", 5, found)
    assert budget.holds == holds
    assert Table("start", ("what",), [], budgets=[budget]).holds == holds


def test_a_failure_is_reported_and_does_not_hold() -> None:
    table = Table("start", ("what",), [], failures=["perf: not found"])
    assert not table.holds
    assert "FAILED: perf: not found" in table.text()
