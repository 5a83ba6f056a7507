"""The VMM's command line."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Container, Sequence
from types import FrameType
from typing import Any, Final, NoReturn

from . import check, host
from .errors import HostError, StopError, VmmError, WorkloadError
from .fleet import Fleet
from .kinds import KINDS, Kind, Rule
from .options import parser
from .runner import Plan
from .workload import MIXES, Workload, expected, inexact, mix, parse, require

_LAST_LAP: Final = 30.0  # seconds for a stopped guest to finish its lap


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        return _run(options)
    except VmmError as error:
        print(f"vmm: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of the output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 2


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise StopError("stopped before the guests were done")


def _run(options: argparse.Namespace) -> int:
    if options.kinds:
        return _print_kinds()
    isa = host.isa() if options.isa == "auto" else options.isa
    if options.expect:
        return _print_expected(_plan(options, isa, lacks=()))
    if isa != host.isa():
        raise HostError(f"this machine is {host.isa()}, not {isa}")
    plan = _plan(options, isa, host.lacking(isa))
    if options.check:
        return check.main(plan)
    host.require(plan.workload, isa)
    return _run_fleet(plan, options)


def _plan(options: argparse.Namespace, isa: str, lacks: Container[str]) -> Plan:
    if min(options.vms, options.vcpus) < 1:
        raise WorkloadError("--vms and --vcpus must be at least 1")
    if min(options.laps, options.period, options.delay) < 0:
        raise WorkloadError("--laps, --period and --delay must be at least 0")
    return Plan(
        isa=isa,
        workload=_workload(options.workload, isa, lacks),
        vms=options.vms,
        vcpus=options.vcpus,
        cpus=options.cpus,
        move=options.move,
        laps=options.laps,
        period=options.period,
        stats=options.stats,
        delay=options.delay / 1e6,
        guests=options.guests,
    )


def _workload(text: str, isa: str, lacks: Container[str]) -> Workload:
    if text in MIXES:
        return tuple(step for step in mix(text, isa) if step.kind not in lacks)
    workload = parse(text)
    require(workload, isa)
    return workload


def _print_kinds() -> int:
    for kind in KINDS.values():
        print(f"{_usage(kind):22}{kind.unit}")
        for rule in kind.rules:
            print(f"    {rule.exit.isa:6}{rule.exit.name:24}{_amount(rule)}")
    return 0


def _usage(kind: Kind) -> str:
    return f"{kind.name}@{kind.arg_name.upper()}" if kind.arg_name else kind.name


def _amount(rule: Rule) -> str:
    if not rule.exact:
        return "any number"
    return {(1, 0): "1 each", (0, 1): "1 in all", (1, -1): "1 each but the first"}[
        rule.each, rule.once
    ]


def _print_expected(plan: Plan) -> int:
    counts = expected(plan.workload, plan.isa, laps=plan.laps, moves=bool(plan.move))
    vague = sorted(exit_.name for exit_ in inexact(plan.workload, plan.isa))
    exits = {name: count for (_, name), count in counts.items()}
    _print({"isa": plan.isa, "expected": exits, "inexact": vague})
    return 0


def _run_fleet(plan: Plan, options: argparse.Namespace) -> int:
    with Fleet(plan) as fleet:
        ready = fleet.ready(_deadline(options))
        if options.wait:
            _print({"isa": plan.isa, "ready": ready})
            _await_start()
        fleet.start()
        _print({"isa": plan.isa, "vms": _reports(fleet, plan, options)})
        _hold(options.hold)
    return 0


def _deadline(options: argparse.Namespace) -> float:
    return time.monotonic() + options.timeout if options.timeout else math.inf


def _reports(fleet: Fleet, plan: Plan, options: argparse.Namespace) -> list[dict[str, Any]]:
    if plan.laps:
        return fleet.reports(_deadline(options))
    try:
        return fleet.reports(math.inf)
    except StopError:
        fleet.stop()
        return fleet.reports(time.monotonic() + plan.period + _LAST_LAP)


def _print(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


def _await_start() -> None:
    if not os.read(sys.stdin.fileno(), 1):
        raise StopError("stdin ended before the start")


def _hold(seconds: float) -> None:
    try:
        if math.isfinite(seconds):
            time.sleep(seconds)
        else:
            while os.read(sys.stdin.fileno(), 4096):
                pass
    except StopError:
        pass


if __name__ == "__main__":
    sys.exit(main())
