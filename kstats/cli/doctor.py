"""``kstats doctor``: check the host and suggest fixes."""

from __future__ import annotations

import json
from collections.abc import Iterable

import attrs
from tabulate import tabulate

from kstats.cli import options, streams
from kstats.doctor import Check, Diagnosis, State, diagnose

_JSON = "json"

_DESCRIPTION = """\
The BPF program of kstats cpu is loaded, attached and detached again.
"""

_EPILOG = "exit status: 0 if kstats cpu works here, else the exit status of kstats cpu"


def parser() -> options.Parser:
    """Return the command line of ``kstats doctor``."""
    p = options.Parser.of("doctor", "", _DESCRIPTION, _EPILOG)
    p.add_format(("table", _JSON))
    p.add_argument("--probe", metavar="PROBE", help="try only this way to read exits")
    text = "try only this way to load programs: prebuilt or bcc"
    p.add_argument("--loader", metavar="LOADER", help=text)
    p.add_debug()
    return p


@attrs.frozen(kw_only=True)
class DoctorOptions:
    """The options of ``kstats doctor``; without ``probe`` or ``loader`` the best is tried."""

    format: str
    probe: str | None
    loader: str | None
    debug: bool


def run(words: list[str]) -> int:
    """Run ``kstats doctor``; return the exit status."""
    wanted = parser().parse(words, DoctorOptions)
    diagnosis = diagnose(probe=wanted.probe, loader=wanted.loader)
    with streams.writing():
        if wanted.format == _JSON:
            print(json.dumps(attrs.asdict(diagnosis)))
        else:
            _print(diagnosis)
    return diagnosis.status


def _print(diagnosis: Diagnosis) -> None:
    checks = _without_repeats(diagnosis.checks)
    rows = [(check.state, check.name, check.found) for check in checks]
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))
    for check in checks:
        if check.fix and check.state is not State.OK:
            print(f"{check.name}: {check.fix}")
    verdict = "works here" if diagnosis.status == 0 else "does not work here"
    print(f"kstats cpu {verdict}")


def _without_repeats(checks: Iterable[Check]) -> list[Check]:
    """Return the checks; a failure that an earlier check found refers to that one."""
    first: dict[str, str] = {}
    shown = []
    for check in checks:
        name = first.setdefault(check.found, check.name)
        again = name != check.name and check.state is State.FAIL
        shown.append(Check(check.name, check.state, f"see {name}") if again else check)
    return shown
