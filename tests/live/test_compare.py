"""``kstats compare live`` in emulated KVM hosts, around a guest with known exits."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from lab.hosts import Host
from tests.live import guests
from tests.live.conftest import Bed, beds
from tests.live.kstats import ATTACHED, ExitId

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm", "arm64"), indirect=True, scope="session"),
]

VCPUS = 2


@pytest.fixture(scope="module")
def comparison(bed: Bed, host: Host) -> dict[str, Any]:
    """Compare a live host's VMs until ^C, while two vCPUs run the workload."""
    words = ["compare", "live", "--by", "vm", "--reasons", "--interval", "3600"]
    with host.start(["kstats", *words, "-f", "json", "--debug"]) as command:
        command.wait_output(ATTACHED)
        with guests.guest(host, "--vcpus", str(VCPUS), "--workload", bed.workload):
            done = command.stop()
    assert done.status == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def reasons(comparison: dict[str, Any]) -> Counter[ExitId]:
    """Return the exits by identity."""
    counts: Counter[ExitId] = Counter()
    for line in comparison["lines"]:
        if "reason" in line:
            counts[line["isa"], line["code"], line["qualifier"]] += line["count"]
    return counts


def test_reasons_are_those_of_the_guest(comparison: dict[str, Any], bed: Bed) -> None:
    expected = guests.expected(bed.workload, bed.isa)
    found = reasons(comparison)
    vague = guests.at_any_time(bed.workload, bed.isa)
    exact = {one: n for one, n in found.items() if one not in vague}
    assert exact == {one: VCPUS * n for one, n in expected.items()}


def test_categories_and_the_total_are_sums(comparison: dict[str, Any]) -> None:
    lines = comparison["lines"]
    whole = {line["category"]: line["count"] for line in lines if "reason" not in line}
    sums: Counter[str] = Counter()
    for line in lines:
        if "reason" in line:
            sums[line["category"]] += line["count"]
    assert {name: n for name, n in whole.items() if n and name != "total"} == dict(sums)
    assert whole["total"] == sums.total()


def test_the_subject_is_the_vm_with_its_vcpus(comparison: dict[str, Any]) -> None:
    (subject,) = comparison["subjects"]
    assert (subject["recording"], subject["vcpus"], subject["samples"]) == ("live", VCPUS, 1)
    assert comparison["per"] == "vcpu_second"
    total = comparison["lines"][-1]
    assert total["per_vcpu_second"] == pytest.approx(total["per_second"] / VCPUS, rel=1e-3)


def test_impossible_categories_have_no_count(comparison: dict[str, Any], bed: Bed) -> None:
    impossible = {line["category"] for line in comparison["lines"] if line["count"] is None}
    assert impossible == ({"io", "spin"} if bed.isa == "arm64" else set())
