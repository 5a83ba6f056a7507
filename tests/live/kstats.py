"""Run kstats in an emulated host as users do, around a guest."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import attrs

from lab.hosts import Host
from lab.hosts.command import Command

ATTACHED = " through "
"""Part of a line that --debug prints when counting begins."""

COMMANDS = (("exits",), ("vcpu",))
"""The commands that take the place of ``-v``."""

ROOT = Path(__file__).parents[2]

ExitId = tuple[str, int, int]
"""(isa, code, qualifier) as in the JSON reports."""


@attrs.define
class Watch:
    """A running ``kstats -v`` that writes JSON."""

    command: Command
    reports: list[dict[str, Any]] = attrs.field(factory=list)

    def stop(self) -> Self:
        """Stop it with ^C and parse its reports."""
        done = self.command.stop()
        assert done.status == 0, done.stderr
        self.reports = [json.loads(line) for line in done.stdout.splitlines()]
        return self

    def wait_reports(self, count: int, since: str) -> None:
        """Wait for `count` reports that end after a time, which is given as in the reports."""
        begins = '{"time": "'

        def late() -> int:
            lines = self.command.stdout.splitlines()
            return sum(line.removeprefix(begins) > since for line in lines if line.endswith("}"))

        self.command.wait_until(lambda: late() >= count)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Return the rows of all reports."""
        return (row for report in self.reports for row in report["rows"])

    def exits(self, cpu: int | None = None) -> Counter[ExitId]:
        """Return the exits by identity, on one CPU or on all."""
        counts: Counter[ExitId] = Counter()
        for row in self.rows():
            if cpu in (None, row["cpu"]):
                for e in row["exits"]:
                    counts[e["isa"], e["code"], e["qualifier"]] += e["count"]
        return counts

    def sums(self, cpu: int | None = None) -> Counter[str]:
        """Return the sum of each column, on one CPU or on all."""
        sums: Counter[str] = Counter()
        for row in self.rows():
            if cpu in (None, row["cpu"]):
                sums.update({k: n for k, n in row.items() if k not in ("cpu", "exits")})
        return sums


@contextmanager
def watching(host: Host, *words: str) -> Iterator[Watch]:
    """Run kstats with one long interval: the command at the start of ``words``, or ``-v``."""
    view = words if words[:1] in COMMANDS else ("-v", "3600", *words)
    with host.start(["kstats", *view, "-f", "json", "--debug"]) as command:
        yield Watch(command)


def wait_attached(*watches: Watch) -> None:
    """Wait until all of them count; they start in parallel."""
    for watch in watches:
        watch.command.wait_output(ATTACHED)


def wait_for_workload(host: Host, perf: Command) -> None:
    """Wait until perf runs its command, here sleep: by then it has enabled its events."""
    children = f"for pid in $(cat /proc/{perf.pid}/task/*/children); do cat /proc/$pid/comm; done"
    host.run(f"until {{ {children}; }} | grep -qx sleep; do sleep 0.1; done").check()


def wait_samples(host: Host, path: str) -> None:
    """Wait until two more samples are in a recording: the second has begun after now."""
    lines = f"$(wc -l <{path})"
    host.run(f"have={lines}; until [ {lines} -ge $((have + 2)) ]; do sleep 0.1; done").check()


def report_having(host: Host, words: Sequence[str], texts: Sequence[str]) -> str:
    """Return the first report of a second of ``kstats exits`` that contains these texts.

    On a busy machine a VM may not run for a second.
    """
    exits = shlex.join(["kstats", "exits", *words, "1"])
    has = " && ".join(f"grep -qF {shlex.quote(text)} /run/report" for text in texts)
    script = f"until {exits} >/run/report && {has}; do sleep 0.1; done; cat /run/report"
    return host.run(script).check().stdout


def now(host: Host) -> str:
    """Return the end of the current second of the host's time, in the format of reports."""
    return host.run(["date", "-u", "+%FT%T.999Z"]).check().stdout.strip()


def here(*words: str) -> str:
    """Return what kstats prints on this machine."""
    command = [sys.executable, "-m", "kstats", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr == ""
    return done.stdout
