"""Recordings that were exported, imported by promtool, and queried in Prometheus."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from kstats import recording
from kstats.cli import main
from tests.fleet.engines import DEADLINE, ROOT, Engine, prometheus, promtool
from tests.fleet.recordings import EXAMPLES, ISAS, MISSED, complete
from tests.fleet.test_rules import rules

pytestmark = pytest.mark.fleet

Rows = Mapping[tuple[str, str], Mapping[str, str]]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Prometheus with the examples as hosts vmx, svm and arm64, and one with all metrics."""
    folder = tmp_path_factory.mktemp("export")
    for name, path in {**EXAMPLES, "all": complete("svm", folder / "svm.jsonl")}.items():
        words = [sys.executable, "-m", "kstats", "export", "--input", str(path), "--interval", "1"]
        words += ["--label", f"instance={name}"]
        text = folder / f"{name}.om"
        text.write_bytes(subprocess.check_output(words, cwd=ROOT, timeout=DEADLINE))
        made = promtool("tsdb", "create-blocks-from", "openmetrics", text, folder / "data")
        assert made.returncode == 0, made.stderr
    (folder / "prometheus.yml").write_text("global: {}\n")
    with prometheus(folder / "prometheus.yml", folder / "data") as engine:
        yield engine


def times(isa: str) -> tuple[float, float]:
    """Return when an example begins and ends."""
    with recording.read(str(EXAMPLES[isa])) as source:
        samples = list(source)
    return samples[0].time - samples[0].elapsed, samples[-1].time


def compared(capsys: pytest.CaptureFixture[str], *sources: str) -> Rows:
    """Return the lines of kstats compare by source and category."""
    assert main(["compare", *sources, "-f", "csv"]) == 0
    rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
    return {(row["recording"], row["category"]): row for row in rows}


@pytest.mark.parametrize("isa", ISAS)
def test_compare_reads_back_what_was_recorded(
    imported: Engine, isa: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """All exits, to the unit; steps of whole seconds make rates differ a little."""
    begin, end = times(isa)
    query = f'match={{instance="{isa}"}}&step=1s&end={int(end) + 1}'
    query += f"&range={int(end) - int(begin) + 1}s"
    stored = compared(capsys, f"prom+{imported.url}?{query}")
    recorded = compared(capsys, str(EXAMPLES[isa]))
    assert {key: row["count"] for key, row in stored.items()} == {
        key: row["count"] for key, row in recorded.items()
    }
    rates = [float(rows[isa, "total"]["per_vcpu_second"]) for rows in (stored, recorded)]
    assert rates[0] == pytest.approx(rates[1], rel=0.05)


def expanded(name: str, seconds: float) -> str:
    """Return the expression of a recording rule, over ``seconds``, without other rules."""
    known = rules("record")
    expression = re.sub(
        r"\w+(?::\w+)+", lambda match: f"({expanded(match[0], seconds)})", known[name]["expr"]
    )
    return expression.replace("[5m]", f"[{round(seconds * 1000)}ms]")


@pytest.mark.parametrize("isa", ISAS)
def test_the_rule_that_compares_architectures_agrees_with_compare(
    imported: Engine, isa: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exits per vCPU-second by category."""
    begin, end = times(isa)
    query = expanded("isa_category:kvm_vm_exits_per_vcpu:rate5m", end - begin + 0.05)
    found = {
        item["metric"]["category"]: float(item["value"][1])
        for item in imported.query(query, time=str(end + 0.01))
        if item["metric"]["isa"] == isa
    }
    expected = {
        category: float(row["per_vcpu_second"])
        for (_, category), row in compared(capsys, str(EXAMPLES[isa])).items()
        if category != "total" and row["count"] not in ("", "0")
    }
    assert found == pytest.approx(expected, rel=0.01)


def test_durations_times_and_losses(imported: Engine) -> None:
    """Of each sample, half a second of each vCPU is in the guest, and exits take 2 us."""
    begin, end = times("svm")
    at = {"time": str(end + 0.01)}
    exits = imported.query('sum(kvm_vm_exits_total{instance="all"})', **at)[0]["value"][1]
    name = "kvm_vm_exit_duration_seconds"
    (count,) = imported.query(f'sum({name}_count{{instance="all"}})', **at)
    (slow,) = imported.query(f'sum({name}_bucket{{instance="all", le="4.095e-06"}})', **at)
    (fast,) = imported.query(f'sum({name}_bucket{{instance="all", le="1.023e-06"}})', **at)
    assert [row["value"][1] for row in (count, slow, fast)] == [exits, exits, "0"]
    guest = 'sum(kvm_vcpu_time_seconds_total{instance="all", state="guest"})'
    assert float(imported.query(guest, **at)[0]["value"][1]) == pytest.approx(
        2 * (end - begin), rel=0.01
    )
    missed = imported.values('kstats_losses_total{instance="all"}', "kind", **at)
    assert missed["missed"] == 30 * MISSED
