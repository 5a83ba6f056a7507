"""Loads programs: takes a plan, returns the maps of an attached program.

The only implementation compiles with bcc in a process of its own (:mod:`kstats.loader.worker`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs

import kstats
from kstats import errors
from kstats.arch.base import BtfField, Probe
from kstats.loader import syscall

DISTRIBUTION_PYTHON = "/usr/bin/python3"
"""The Python that has bcc where kstats is installed for another one."""

_ERRORS: Mapping[str, type[errors.KstatsError]] = {
    kind.__name__: kind
    for kind in (errors.LoadError, errors.PrivilegeError, errors.UnsupportedHostError)
}
_MOST_FDS = 64  # maps, programs and links
_ANSWER_SIZE = 1 << 16


@attrs.frozen(order=True)
class Attachment:
    """A C function and the tracepoint that runs it.

    Attributes:
        tracepoint: A classic one is in the group ``kvm``.
        function: The function's name.
        attach: ``raw``, ``classic``, or empty for the way of the chosen probe.
        at_least: If set, the attachment is optional: it is left out where the kernel has no such
            tracepoint, or one with fewer arguments.
        args: The preprocessor name that gets the number of the tracepoint's arguments, if any.
    """

    tracepoint: str
    function: str
    attach: str = ""
    at_least: int | None = None
    args: str = ""


@attrs.frozen(eq=False)
class Plan:
    """What to load.

    Attributes:
        text: The C text.
        defines: Its preprocessor definitions.
        probes: Ways to read exits, tried in turn.
        btf_modules: Kernel modules with the types of ``btf``: the first that is loaded is used.
        attachments: Functions and their tracepoints, in the order in which they are attached.
        maps: The maps to return.
        btf: Offsets that are needed with every probe.
        attach: If false, everything is compiled and verified, and nothing runs.
    """

    text: str
    defines: Mapping[str, int]
    probes: tuple[Probe, ...]
    btf_modules: tuple[str, ...]
    attachments: tuple[Attachment, ...]
    maps: tuple[str, ...]
    btf: tuple[BtfField, ...] = ()
    attach: bool = True


class Loaded:
    """A program in the kernel. It runs until :meth:`close`, or until this process ends.

    Attributes:
        probe: The name of the chosen probe.
        rejected: (name, reason) of the probes before it.
        absent: (function, reason) of the attachments that were left out.
        defines: The offsets and other definitions that were found.
        maps: The maps by name.
        programs: The descriptors of the functions by name.
    """

    def __init__(self, answer: Mapping[str, Any], fds: list[int]) -> None:
        """Take over ``fds``, which ``answer["names"]`` names in order."""
        self.probe: str = answer["probe"]
        self.rejected: tuple[tuple[str, str], ...] = tuple(
            (name, why) for name, why in answer["rejected"]
        )
        self.absent: tuple[tuple[str, str], ...] = tuple(
            (function, why) for function, why in answer["absent"]
        )
        self.defines: Mapping[str, int] = answer["defines"]
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


def has_bcc() -> bool:
    """Return whether this Python has the distribution's bcc; PyPI's bcc is another project."""
    spec = importlib.util.find_spec("bcc")
    places = spec.submodule_search_locations if spec else None
    return any(Path(place, "libbcc.py").exists() for place in places or ())


def distribution_has_bcc() -> bool:
    """Return whether the distribution's Python has bcc, without starting it."""
    places = Path(DISTRIBUTION_PYTHON).parent.parent.glob("lib/python3*/*-packages/bcc/__init__.py")
    return any(places)


def python_with_bcc() -> str:
    """Return the worker's interpreter: this one, unless only the distribution's has bcc."""
    if has_bcc() or not distribution_has_bcc():
        return sys.executable
    return DISTRIBUTION_PYTHON


def load(plan: Plan, headers: Path) -> Loaded:
    """Compile, load and attach ``plan`` in a worker process.

    ``headers`` is the tree that replaces the kernel headers.

    Raises:
        PrivilegeError: Loading BPF programs is not permitted.
        UnsupportedHostError: The kernel cannot do what the plan needs.
        LoadError: The program could not be compiled, verified or attached.
    """
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with ours, tempfile.TemporaryFile() as log:
        with theirs:
            child = _start(theirs, headers, log)
        try:
            child.communicate(json.dumps(attrs.asdict(plan)).encode())
            answer, fds = _receive(ours)
        finally:
            child.kill()
            child.wait()
        log.seek(0)
        said = log.read().decode(errors="replace").strip()
    if not answer:
        raise errors.LoadError(f"the loading process ended with {child.returncode}", log=said)
    if "error" in answer:
        raise _error(answer, said)
    return Loaded(answer, fds)


def _start(channel: socket.socket, headers: Path, log: Any) -> subprocess.Popen[bytes]:
    # The package's directory goes last on the path: the distribution's Python must find kstats
    # there, and everything else in its own directories.
    parent = str(Path(kstats.__file__).parent.parent)
    start = (
        f"import sys; sys.path.append({parent!r}); from kstats.loader import worker; worker.main()"
    )
    return subprocess.Popen(
        [python_with_bcc(), "-P", "-c", start, str(channel.fileno())],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        pass_fds=[channel.fileno()],
        env={**os.environ, "BCC_KERNEL_SOURCE": str(headers)},
    )


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    data, fds, _, _ = socket.recv_fds(channel, _ANSWER_SIZE, _MOST_FDS)
    for fd in fds:
        os.set_inheritable(fd, False)  # noqa: FBT003 - the standard library's signature
    return (json.loads(data) if data else {}), list(fds)


def _error(answer: Mapping[str, str], log: str) -> errors.KstatsError:
    kind = _ERRORS[answer["error"]]
    if kind is errors.LoadError:
        return errors.LoadError(answer["message"], answer["hint"], log)
    return kind(answer["message"], answer["hint"])
