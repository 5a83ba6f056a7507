"""``kstats doctor``: check the host and suggest fixes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

import attrs
from tabulate import tabulate

from kstats.cli import options, streams
from kstats.doctor import Check, Diagnosis, State, diagnose

_DESCRIPTION = """\
The BPF program of kstats cpu is loaded, attached and detached again.
"""

_EPILOG = "exit status: 0 if kstats cpu works here, else the exit status of kstats cpu"


def parser() -> options.Parser:
    """The command line of ``kstats doctor``."""
    p = options.Parser.of("doctor", "", _DESCRIPTION, _EPILOG)
    p.add_format(("table", "json"))
    p.add_argument("--probe", metavar="PROBE", help="try only this way to read exits")
    p.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return p


def run(words: list[str]) -> int:
    """Runs ``kstats doctor``; returns the exit status."""
    args = parser().parse(words)
    diagnosis = diagnose(probe=args.probe)
    with streams.writing():
        if args.format == "json":
            print(json.dumps(attrs.asdict(diagnosis)))
        else:
            _print(diagnosis)
    return diagnosis.status


def _print(diagnosis: Diagnosis) -> None:
    checks = _told_once(diagnosis.checks)
    rows = [(check.state, check.name, check.found) for check in checks]
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))
    for check in checks:
        if check.fix and check.state is not State.OK:
            print(f"{check.name}: {check.fix}")
    verdict = "works here" if diagnosis.status == 0 else "does not work here"
    print(f"kstats cpu {verdict}")


def _told_once(checks: Iterable[Check]) -> list[Check]:
    """What an earlier check found already, a later one only points to."""
    first: dict[str, str] = {}
    told = []
    for check in checks:
        name = first.setdefault(check.found, check.name)
        again = name != check.name and check.state is State.FAIL
        told.append(Check(check.name, check.state, f"see {name}") if again else check)
    return told
