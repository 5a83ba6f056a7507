"""Hosts read back from real engines that hold counters written by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kstats.cli import main
from kstats.errors import RecordingError
from kstats.model import Sample
from kstats.prometheus import Address, Client, Hosts
from tests.fleet.engines import Engine, prometheus, promtool, victoria_metrics

pytestmark = pytest.mark.fleet

T0 = 1_769_860_800
"""2026-01-31T12:00:00Z, when the counters begin."""

STEP = 15
PHASE = -3
"""A scrape is that many seconds off a step."""

ISA = {"old": "svm", "new": "vmx", "both": "svm"}


def lines(name: str, labels: str, values: Mapping[int, float]) -> Iterator[str]:
    """Yield a series: its values by step."""
    for step, value in values.items():
        yield f"{name}{{{labels}}} {value} {T0 + step * STEP + PHASE}"


def counters() -> str:
    """Return the counters of three hosts.

    ``old`` was restarted at step 3 and not there at steps 6 to 9. VM b of ``new`` starts late. Two
    jobs scrape ``both``.
    """
    text = ["# TYPE kvm_vm_exits counter"]
    there = [*range(6), *range(10, 12)]
    hlt = dict(zip(there, [100, 110, 120, 5, 15, 25, 500, 530], strict=True))
    npf = dict(zip(there, [0, 1, 2, 3, 4, 5, 6, 7], strict=True))
    old = 'instance="old",job="kstats",vm="a",'
    text += lines("kvm_vm_exits_total", old + 'reason="hlt",category="idle"', hlt)
    text += lines("kvm_vm_exits_total", old + 'reason="npf",category="memory"', npf)
    new = 'instance="new",job="kstats",'
    text += lines(
        "kvm_vm_exits_total",
        new + 'vm="a",reason="HLT",category="idle"',
        {step: 2.0**40 + 60 * step for step in range(12)},
    )
    text += lines(
        "kvm_vm_exits_total",
        new + 'vm="b",reason="vmx:0x99",category="other"',
        {step: 15 * (step - 4) for step in range(5, 12)},
    )
    text += ["# TYPE kstats_losses counter"]
    missed = 'instance="new",job="kstats",kind="missed"'
    text += lines("kstats_losses_total", missed, {step: 2 * step for step in range(12)})
    text += ["# TYPE kvm_vm_vcpus gauge"]
    text += lines("kvm_vm_vcpus", 'instance="old",job="kstats",vm="a"', dict.fromkeys(there, 2))
    text += lines("kvm_vm_vcpus", new + 'vm="a"', dict.fromkeys(range(12), 4))
    text += lines("kvm_vm_vcpus", new + 'vm="b"', dict.fromkeys(range(5, 12), 1))
    text += ["# TYPE kstats_build_info gauge"]
    for instance, job in (("old", "kstats"), ("new", "kstats"), ("both", "a"), ("both", "b")):
        labels = f'instance="{instance}",job="{job}",version="0.1.0",arch="x64",probe="raw-arg",'
        labels += f'isa="{ISA[instance]}",loader="bcc",kernel="6.1.0"'
        steps = there if instance == "old" else range(12)
        text += lines("kstats_build_info", labels, dict.fromkeys(steps, 1))
    return "\n".join([*text, "# EOF", ""])


@pytest.fixture(scope="module", params=["prometheus", "victoria-metrics"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    (folder / "counters").write_text(counters())
    if request.param == "prometheus":
        words = ("tsdb", "create-blocks-from", "openmetrics", folder / "counters", folder / "data")
        assert promtool(*words).returncode == 0
        (folder / "prometheus.yml").write_text("global: {}\n")
        with prometheus(folder / "prometheus.yml", folder / "data") as running:
            yield running
        return
    with victoria_metrics(folder / "data") as running:
        # This engine takes milliseconds.
        rows = [line.rsplit(" ", 1) for line in counters().splitlines() if line[0] != "#"]
        text = "".join(f"{row} {time}000\n" for row, time in rows)
        running.fetch("/api/v1/import/prometheus", text.encode())
        running.fetch("/internal/force_flush")  # else it takes seconds until they can be queried
        yield running


def samples(engine: Engine, match: str, steps: int = 11) -> list[Sample]:
    """Return the samples of hosts over all steps."""
    end = T0 + steps * STEP
    address = Address.parse(
        f"prom+{engine.url}?match={match}&range={steps * STEP}s&step=15s&end={end}"
    )
    return list(Hosts.find(Client(address.url), address).samples())


def by_step(found: list[Sample], code: tuple[str, int]) -> dict[int, int]:
    """Return the exits of a code by the step at the end of the sample."""
    return {
        int(sample.time - T0) // STEP: sum(e.count for e in sample.exits.get(code, {}).values())
        for sample in found
    }


def test_increases_survive_a_restart_and_a_gap(engine: Engine) -> None:
    """A counter that shrank counts from zero; what happened in a gap has no sample.

    One missing scrape makes no gap.
    """
    found = samples(engine, '{instance="old"}')
    assert by_step(found, ("svm", 120)) == {1: 10, 2: 10, 3: 5, 4: 10, 5: 10, 6: 0, 11: 30}
    assert by_step(found, ("svm", 1024)) == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 0, 11: 1}
    assert {sample.elapsed for sample in found} == {15.0}
    assert {len(sample.threads) for sample in found} == {2}


def test_a_series_that_is_new_counts_from_zero(engine: Engine) -> None:
    """VM b comes when its host is already known; large counters keep their last digit."""
    found = samples(engine, '{instance="new"}')
    assert by_step(found, ("vmx", 12)) == dict.fromkeys(range(1, 12), 60)
    unnamed = by_step(found, ("vmx", 0x99))
    assert unnamed == {step: 0 if step < 5 else 15 for step in range(1, 12)}
    assert [len(sample.threads) for sample in found] == [4] * 4 + [5] * 7
    assert {sample.missed for sample in found} == {2}


def test_hosts_of_several_isas_are_refused(engine: Engine) -> None:
    with pytest.raises(RecordingError, match="several ISAs: svm, vmx"):
        samples(engine, '{instance=~"old|new"}')


def test_a_host_that_two_jobs_scrape_is_refused(engine: Engine) -> None:
    with pytest.raises(RecordingError, match=r'more than once: job="a", job="b"'):
        samples(engine, '{instance="both"}')


def test_no_host(engine: Engine) -> None:
    with pytest.raises(RecordingError, match="no host matches"):
        samples(engine, '{instance="none"}')


def test_invalid_matchers_show_the_complaint_of_the_engine(engine: Engine) -> None:
    with pytest.raises(RecordingError, match=r"4(00|22) .*: .*pars"):
        samples(engine, "{instance=}")


def test_a_page_of_the_engine_is_not_its_api(engine: Engine) -> None:
    with pytest.raises(RecordingError, match=r"404|not the HTTP API"):
        samples(Engine(f"{engine.url}/graph"), '{instance="old"}')


def test_compare_reads_hosts(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """Exits per vCPU-second: over 7 steps of 2 vCPUs, and over 4 steps of 4 and 7 of 5."""
    words = [
        f'prom+{engine.url}?match={{instance="{name}"}}&range=165s&step=15s&end={T0 + 165}'
        for name in ("old", "new")
    ]
    assert main(["compare", *words, "-f", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    idle = {row["recording"]: row for row in rows if row["category"] == "idle"}
    assert {name: row["count"] for name, row in idle.items()} == {"old": "75", "new": "660"}
    rates = {name: float(row["per_vcpu_second"]) for name, row in idle.items()}
    assert rates == pytest.approx(
        {"old": 75 / (7 * 15 * 2), "new": 660 / (15 * (4 * 4 + 7 * 5))}, rel=1e-3
    )


def test_report_draws_hosts(engine: Engine, tmp_path: Path) -> None:
    source = f'prom+{engine.url}?match={{instance="new"}}&range=165s&step=15s&end={T0 + 165}'
    page = tmp_path / "page.html"
    assert main(["report", source, "-o", str(page)]) == 0
    text = page.read_text()
    assert "<h2" in text
    assert "vmx:0x99" in text
