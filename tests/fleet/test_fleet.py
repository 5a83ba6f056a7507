"""Exporters of three architectures, seen through real engines."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.conftest import Fleet
from tests.fleet.engines import DEADLINE, ROOT, Engine, node_exporter, started, until
from tests.fleet.recordings import EXAMPLES, ISAS

pytestmark = pytest.mark.fleet

DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
QUERIES = [
    pytest.param(target["expr"], id=f"{path.stem}: {panel['title']}")
    for path in DASHBOARDS
    for panel in json.loads(path.read_text())["panels"]
    for target in panel.get("targets", ())
]
VARIABLES = {"$instance": ".*", "$vm": ".*", "$isa": ".*", "$__rate_interval": "1m"}


def has_data(engine: Engine, query: str) -> bool:
    """Return whether a query has a number."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return any(not math.isnan(float(item["value"][1])) for item in engine.query(query))


@pytest.mark.parametrize("query", QUERIES)
def test_the_query_of_every_panel_has_data(fleet: Fleet, query: str) -> None:
    until(f"Prometheus has {query}", lambda: has_data(fleet.prometheus, query))
    until(f"VictoriaMetrics has {query}", lambda: has_data(fleet.victoria, query))


def test_dashboards_are_generated() -> None:
    """They are what tools/gen_dashboards.py writes."""
    words = [sys.executable, "tools/gen_dashboards.py", "--check"]
    subprocess.run(words, cwd=ROOT, check=True, timeout=DEADLINE)
    assert len(QUERIES) > len(DASHBOARDS) == 3


def test_an_alert_arrives(fleet: Fleet) -> None:
    """The hosts miss events; Alertmanager delivers that, with the way to the runbook."""
    while (message := fleet.notified.get(timeout=DEADLINE))["groupLabels"][
        "alertname"
    ] != "KstatsLosses":
        pass  # on a busy machine scrapes fail, which are alerts, too
    (alert,) = message["alerts"]
    assert message["status"] == alert["status"] == "firing"
    assert alert["labels"]["alertname"] == "KstatsLosses"
    assert alert["labels"]["instance"] in fleet.running.values()
    assert alert["labels"]["kind"] == "missed"
    assert alert["annotations"]["runbook_url"] == "docs/runbook.md#kstatslosses"


def test_node_exporter_serves_the_text_file(tmp_path: Path) -> None:
    """The exporter listens nowhere; node_exporter has its metrics until they are complete."""
    words = [sys.executable, "-m", "kstats", "exporter", "--textfile", str(tmp_path)]
    words += ["--input", str(EXAMPLES["arm64"]), "--speed", "1000"]
    idle = compared()["arm64", "idle"]["count"]
    line = f'kvm_vm_exits_total{{category="idle",reason="WFx",vm="python3"}} {idle}\n'
    with (
        started(words, lambda _, text: "counting" if "msg=counting" in text else None),
        node_exporter(tmp_path) as engine,
    ):
        until(line, lambda: line in engine.fetch("/metrics").decode())


def compared() -> dict[tuple[str, str], dict[str, str]]:
    """Return the lines of kstats compare for the examples by ISA and category."""
    words = [sys.executable, "-m", "kstats", "compare", *map(str, EXAMPLES.values()), "-f", "csv"]
    text = subprocess.check_output(words, text=True, cwd=ROOT, timeout=DEADLINE)
    rows = csv.DictReader(io.StringIO(text))
    return {(row["recording"], row["category"]): row for row in rows}


def test_exporters_count_what_compare_counts(fleet: Fleet) -> None:
    """After a whole recording, each category of each ISA has the same exits per vCPU."""
    job = '{job="kstats-finished"}'
    query = (
        f"sum by (isa, category) (kvm_vm_exits_total{job}"
        " * on (instance) group_left (isa) kstats_build_info)"
        f" / ignoring (category) group_left sum by (isa) (kvm_vm_vcpus{job}"
        " * on (instance) group_left (isa) kstats_build_info)"
    )
    done = f"count(kstats_samples_total{job} >= 30) == {len(ISAS)}"

    def replayed() -> dict[tuple[str, str], float] | None:
        """Return the exits per vCPU once they are complete and no scrape has just failed."""
        if not fleet.prometheus.query(done):
            return None
        found = {
            (item["metric"]["isa"], item["metric"]["category"]): float(item["value"][1])
            for item in fleet.prometheus.query(query)
        }
        return found if {isa for isa, _ in found} == set(ISAS) else None

    found = until("the recordings were replayed", replayed)
    expected = {
        key: float(row["per_vcpu_second"]) * float(row["count"]) / float(row["per_second"])
        for key, row in compared().items()
        if row["count"] not in ("", "0") and key[1] != "total"
    }
    assert found == pytest.approx(expected, rel=1e-4)
