"""Loads programs: takes a plan, returns the maps of an attached program.

A program is loaded from a prebuilt object or compiled with bcc, in a process of its own
(:mod:`kstats.loader.worker`).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs

from kstats import errors
from kstats.loader import c_text, objects, syscall
from kstats.loader.plan import Plan
from kstats.loader.process import LOADERS, Worker

_ERRORS: Mapping[str, type[errors.KstatsError]] = {
    kind.__name__: kind
    for kind in (errors.LoadError, errors.PrivilegeError, errors.UnsupportedHostError)
}
_APART = ("text", "objects", "prebuilt")
"""The fields of a plan that depend on the loader."""


class Loaded:
    """A program in the kernel. It runs until :meth:`close`, or until this process ends.

    Attributes:
        loader: The name of the loader.
        unavailable: (name, reason) of the loaders before it.
        probe: The name of the chosen probe.
        rejected: (name, reason) of the probes before it.
        absent: (function, reason) of the attachments that were left out.
        log: What the compiler and the verifier printed, also for the loaders before it.
        numbers: The offsets and other numbers of this host that were found.
        maps: The maps by name.
        programs: The descriptors of the functions by name.
    """

    def __init__(self, answer: Mapping[str, Any], fds: list[int]) -> None:
        """Take over ``fds``, which ``answer["names"]`` names in order."""
        self.loader: str = answer["loader"]
        self.unavailable: tuple[tuple[str, str], ...] = tuple(
            (name, why) for name, why in answer["unavailable"]
        )
        self.probe: str = answer["probe"]
        self.rejected: tuple[tuple[str, str], ...] = tuple(
            (name, why) for name, why in answer["rejected"]
        )
        self.absent: tuple[tuple[str, str], ...] = tuple(
            (function, why) for function, why in answer["absent"]
        )
        self.numbers: Mapping[str, int] = answer["numbers"]
        self.log: str = answer["log"]
        self._fds = dict(zip(answer["names"], fds, strict=True))
        self.maps = {
            name.removeprefix("map:"): syscall.Map(fd)
            for name, fd in self._fds.items()
            if name.startswith("map:")
        }
        self.programs = {
            name.removeprefix("program:"): fd
            for name, fd in self._fds.items()
            if name.startswith("program:")
        }

    def program_infos(self) -> list[syscall.ProgramInfo]:
        """Return what the kernel reports about each program."""
        return [syscall.program_info(fd) for fd in self.programs.values()]

    def misses(self) -> int:
        """Return how often the kernel skipped one of the programs since they were loaded."""
        return sum(info.misses for info in self.program_infos())

    def close(self) -> None:
        """Detach and free everything; calling it again has no effect."""
        while self._fds:
            os.close(self._fds.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load(plan: Plan, loader: str | None = None, started: Worker | None = None) -> Loaded:
    """Load and attach ``plan`` in a worker process.

    ``loader`` forces one of :data:`kstats.loader.process.LOADERS`. By default each is tried until
    one works. ``started`` is a worker that has been started early.

    Raises:
        PrivilegeError: Loading BPF programs is not permitted.
        UnsupportedHostError: The kernel cannot do what the plan needs.
        LoadError: The program could not be compiled, verified or attached.
    """
    unavailable: list[tuple[str, str]] = []
    hints: list[str] = []
    logs: list[str] = []
    for name in LOADERS if loader is None else (loader,):
        why = objects.missing(plan) if name == "prebuilt" else ""
        if why:
            unavailable.append((name, why))
            continue
        answer, fds, log = run(name, wire(plan, name), started)
        if "unavailable" not in answer:
            return finish(name, answer, fds, _joined([*logs, log]), unavailable)
        unavailable.append((name, answer["unavailable"]))
        hints.append(answer["hint"])
        logs.append(log)
    listed = "; ".join(f"{name}: {why}" for name, why in unavailable)
    hint = ", or ".join(dict.fromkeys(filter(None, hints)))
    if loader is not None and not hint:
        hint = "without --loader, another one is tried"
    raise errors.LoadError(f"no loader works here: {listed}", hint, _joined(logs))


def _joined(logs: Sequence[str]) -> str:
    return "\n".join(filter(None, logs))


def finish(
    loader: str,
    answer: Mapping[str, Any],
    fds: list[int],
    log: str,
    unavailable: Sequence[tuple[str, str]] = (),
) -> Loaded:
    """Return the program of a worker's answer.

    Raises:
        KstatsError: The worker refused.
    """
    if "names" not in answer:
        raise _error(answer, log)
    return Loaded({**answer, "loader": loader, "unavailable": unavailable, "log": log}, fds)


def run(
    loader: str, plan: Mapping[str, Any], started: Worker | None = None
) -> tuple[dict[str, Any], list[int], str]:
    """Let a worker carry out a plan (:func:`wire`); return its answer, descriptors and messages.

    ``started`` is a worker that has been started early.
    """
    if started and not started.used:
        if started.loader == loader:
            return started.run(plan)
        started.close()
    with Worker(loader) as worker:
        return worker.run(plan)


def wire(plan: Plan, loader: str) -> dict[str, Any]:
    """Return what :class:`kstats.loader.wire.Plan` reads."""
    values = attrs.asdict(plan, recurse=False, filter=lambda field, _: field.name not in _APART)
    if loader == "bcc":
        return {**values, "text": c_text.for_bcc(plan.text, plan.pids, plan.tids), "objects": {}}
    found = {
        probe.name: {
            "data": base64.b64encode(data).decode(),
            "words": sorted(objects.words(plan, probe)),
            "record": sorted(field.define for field in probe.record),
        }
        for probe in plan.probes
        if (data := objects.read(plan, probe)) is not None
    }
    return {**values, "text": "", "objects": found}


def _error(answer: Mapping[str, str], log: str) -> errors.KstatsError:
    if "unavailable" in answer:
        return errors.LoadError(answer["unavailable"], answer["hint"], log)
    kind = _ERRORS[answer["error"]]
    if kind is errors.LoadError:
        return errors.LoadError(answer["message"], answer["hint"], log)
    return kind(answer["message"], answer["hint"])
