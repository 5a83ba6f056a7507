"""The recording and alert rules, the scrape configurations, and the runbook behind the alerts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fleet.engines import DEADLINE, ROOT, program, promtool

DEPLOY = ROOT / "deploy/prometheus"
RULES = sorted((DEPLOY / "rules").glob("*.yml"))
UNIT_TESTS = Path(__file__).parent / "data/alerts.test.yml"
RUNBOOK = ROOT / "docs/runbook.md"


def rules(kind: str) -> dict[str, Any]:
    """Return the rules of a kind, ``alert`` or ``record``, by name."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


@pytest.mark.fleet
@pytest.mark.parametrize("config", sorted(DEPLOY.glob("*.yml")), ids=lambda path: path.name)
def test_prometheus_accepts_the_configuration_and_its_rules(config: Path) -> None:
    checked = promtool("check", "config", config)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "2 rule files found" in checked.stdout


@pytest.mark.fleet
def test_vmalert_accepts_the_rules() -> None:
    words = [program("vmalert"), "-dryRun", *(f"-rule={path}" for path in RULES)]
    subprocess.run(words, check=True, capture_output=True, timeout=DEADLINE)


@pytest.mark.fleet
def test_alerts_fire_when_they_should() -> None:
    tested = promtool("test", "rules", UNIT_TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    fires: dict[str, set[bool]] = {}
    for case in yaml.safe_load(UNIT_TESTS.read_text())["tests"]:
        for test in case["alert_rule_test"]:
            fires.setdefault(test["alertname"], set()).add(bool(test["exp_alerts"]))
    assert fires == {name: {True, False} for name in rules("alert")}


def test_each_alert_leads_to_its_section_of_the_runbook() -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert headings == list(rules("alert"))
    for name, rule in rules("alert").items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert {"summary", "description"} < rule["annotations"].keys()


def test_the_runbook_explains_the_exits_of_each_alert_about_vms() -> None:
    sections = RUNBOOK.read_text().split("\n## ")
    about_vms = [section for section in sections if section.startswith("Kvm")]
    assert about_vms
    assert all("`kstats explain " in section for section in about_vms)
