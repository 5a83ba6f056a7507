"""The loading seam: a plan goes in, an attached program's maps come out.

Today's only filling compiles with bcc in a child process (:mod:`kstats.loader.worker`).
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
"""Where bcc lives when kstats itself is installed for another Python."""

_ERRORS: Mapping[str, type[errors.KstatsError]] = {
    kind.__name__: kind
    for kind in (errors.LoadError, errors.PrivilegeError, errors.UnsupportedHostError)
}
_MOST_FDS = 32
_ANSWER_SIZE = 1 << 16


@attrs.frozen
class Attachment:
    """A function and the tracepoint that runs it; a classic one is of the kvm group.

    ``attach`` is ``raw``, ``classic``, or empty: as the chosen probe says. With ``at_least`` it
    is left out where the kernel has no such tracepoint, or one of fewer arguments. ``args`` is
    the preprocessor name that gets the number of its arguments, if the function wants to know.
    """

    tracepoint: str
    function: str
    attach: str = ""
    at_least: int | None = None
    args: str = ""


@attrs.frozen(eq=False)
class Plan:
    """What to load: the C text, its preprocessor definitions, and what is wanted of it.

    ``probes`` are tried in turn. ``btf`` are offsets that every one of them needs. With
    ``attach`` false everything is compiled and verified and nothing runs.
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
    """A program in the kernel. It runs until :meth:`close`, or until this process ends."""

    def __init__(self, answer: Mapping[str, Any], fds: list[int]) -> None:
        """Takes over ``fds``, which ``answer["names"]`` names in order."""
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
        """What the kernel says of each program."""
        return [syscall.program_info(fd) for fd in self.programs.values()]

    def misses(self) -> int:
        """How often the kernel skipped one of the programs since they were loaded."""
        return sum(info.misses for info in self.program_infos())

    def close(self) -> None:
        """Detaches and frees everything; doing it twice is fine."""
        while self._fds:
            os.close(self._fds.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def has_bcc() -> bool:
    """Whether this Python has the distribution's bcc; the index's of that name is no help."""
    spec = importlib.util.find_spec("bcc")
    places = spec.submodule_search_locations if spec else None
    return any(Path(place, "libbcc.py").exists() for place in places or ())


def distribution_has_bcc() -> bool:
    """Whether the distribution's Python can import bcc, told without starting it."""
    places = Path(DISTRIBUTION_PYTHON).parent.parent.glob("lib/python3*/*-packages/bcc/__init__.py")
    return any(places)


def python_with_bcc() -> str:
    """The interpreter for the child: this one if it has bcc, else the distribution's if it has."""
    if has_bcc() or not distribution_has_bcc():
        return sys.executable
    return DISTRIBUTION_PYTHON


def load(plan: Plan, headers: Path) -> Loaded:
    """Compiles, loads and attaches ``plan`` in a child process.

    ``headers`` is the tree that stands for kernel headers.

    Raises:
        PrivilegeError, UnsupportedHostError, LoadError: as the child found.
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
    # The package's own directory goes last on the path, so that the distribution's Python
    # finds kstats and yet takes everything else from its own places.
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
