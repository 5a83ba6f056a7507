"""When reports are made.

The clock of the host counts instructions: that this machine is busy makes no report late.
"""

from __future__ import annotations

import csv
from itertools import accumulate

import pytest

from lab.hosts import Host
from tests.live.conftest import beds

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm-paced"), indirect=True, scope="session"),
]

REPORTS = 12


def test_intervals_do_not_drift(host: Host) -> None:
    done = host.run(["kstats", "-v", "1", str(REPORTS), "-f", "csv"]).check()
    ends = {row["time"]: float(row["elapsed"]) for row in csv.DictReader(done.stdout.splitlines())}
    assert len(ends) == REPORTS
    for report, end in enumerate(accumulate(ends.values()), 1):
        assert end == pytest.approx(report, abs=0.1)
