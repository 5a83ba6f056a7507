"""The process of a worker (:mod:`kstats.loader.worker`), as its parent sees it.

It imports little, so that a command can start a worker first, and import the rest of kstats while
the worker starts.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Self

import kstats

ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
"""All of a new process's environment: no variable of the user can make it load other code."""

LOADERS = ("prebuilt", "bcc")
"""The ways to load a program, best first."""

CHANNEL = 3
"""A worker's descriptor for its answer. It reads its plan from the one before standard output."""

_MOST_FDS = 64  # maps, programs and links
_ANSWER_SIZE = 1 << 16


class Worker:
    """A process that carries out one plan.

    Attributes:
        loader: One of :data:`LOADERS`.
        pid: Its process ID.
        used: Whether it has got its plan.
    """

    def __init__(self, loader: str) -> None:
        """Start it."""
        self.loader = loader
        self.used = False
        self._status: int | None = None
        self._channel, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        plan, self._plan = os.pipe()
        self._log = open(os.memfd_create("kstats-log"), "w+b")  # noqa: SIM115, PTH123 - see close()
        log = self._log.fileno()
        descriptors = {0: plan, 1: log, 2: log, CHANNEL: theirs.fileno()}
        try:
            start = _fork if loader == "prebuilt" and may_fork() else _spawn
            self.pid = start(loader, descriptors)
        finally:
            theirs.close()
            os.close(plan)

    def run(self, plan: Mapping[str, Any]) -> tuple[dict[str, Any], list[int], str]:
        """Let it carry out a plan (:func:`kstats.loader.program.wire`), and end.

        Return its answer, descriptors and messages. A worker that ends without an answer, as when a
        damaged object crashes libbpf, makes its loader unavailable.
        """
        self.used = True
        with suppress(BrokenPipeError), open(self._plan, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(json.dumps(plan))
        answer, fds = _receive(self._channel)
        status = self._wait()  # with an answer or without, it closes its channel last
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip()
        if not answer:
            answer = {"unavailable": f"the loading process {_described(status)}", "hint": ""}
        return answer, fds, said

    def close(self) -> None:
        """End it; calling it again has no effect."""
        if not self.used:
            self.used = True
            os.close(self._plan)
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
        self._wait()
        self._channel.close()
        self._log.close()

    def _wait(self) -> int:
        """Wait for its end; return its exit status, or minus the signal."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def early(loader: str | None) -> AbstractContextManager[Worker | None]:
    """Start the worker of a loader, or of the best one: it starts while modules are imported.

    A name that is no loader is reported later.
    """
    name = LOADERS[0] if loader is None else loader
    return Worker(name) if name in LOADERS else nullcontext()


def may_fork() -> bool:
    """Return whether a copy of this process serves as well as a new one, and starts much faster.

    A copy has this process's environment: the dynamic linker reads ``LD_LIBRARY_PATH`` and its
    like. It has one thread only: locks that other threads hold would stay locked.
    """
    linker = any(name.startswith("LD_") for name in os.environ)
    return not linker and len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - start-up time


def _fork(loader: str, descriptors: Mapping[int, int]) -> int:
    """Start a worker as a copy of this process; return its process ID."""
    from kstats.loader import worker  # noqa: PLC0415 - it imports what a new process gets

    pid = os.fork()
    if pid == 0:
        worker.become(loader, CHANNEL, descriptors)
    return pid


def _spawn(loader: str, descriptors: Mapping[int, int]) -> int:
    """Start a worker as a new process; return its process ID."""
    # The package's directory goes last on the path: the distribution's Python must find kstats
    # there, and everything else in its own directories.
    package = os.path.dirname(os.path.dirname(kstats.__file__))  # noqa: PTH120 - start-up time
    code = (
        f"import sys; sys.path.append({package!r}); "
        f"from kstats.loader import worker; worker.serve({loader!r}, {CHANNEL})"
    )
    python, env = COMMANDS[loader]()
    actions = [(os.POSIX_SPAWN_DUP2, theirs, wanted) for wanted, theirs in descriptors.items()]
    return os.posix_spawnp(python[0], [*python, "-c", code], env, file_actions=actions)


def _prebuilt() -> tuple[list[str], Mapping[str, str]]:
    # -I and -S: the standard library only, and nothing that the user or the site has set up.
    return [sys.executable, "-I", "-S"], ENVIRONMENT


def _bcc() -> tuple[list[str], Mapping[str, str]]:
    from kstats import csource  # noqa: PLC0415 - few hosts need bcc
    from kstats.loader.bcc_python import python_with_bcc  # noqa: PLC0415

    headers = f"{csource.directory()}/headers"
    return [python_with_bcc(), "-I"], {**ENVIRONMENT, "BCC_KERNEL_SOURCE": headers}


COMMANDS: dict[str, Callable[[], tuple[list[str], Mapping[str, str]]]] = {
    "prebuilt": _prebuilt,
    "bcc": _bcc,
}
"""The interpreter with its options, and the environment, of a new process for each loader."""


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    data, fds, _, _ = socket.recv_fds(channel, _ANSWER_SIZE, _MOST_FDS)
    for fd in fds:
        os.set_inheritable(fd, False)  # noqa: FBT003 - the standard library's signature
    return (json.loads(data) if data else {}), list(fds)


def _described(status: int) -> str:
    """Return how a process with this exit status, or minus the signal, ended."""
    if status >= 0:
        return f"ended with {status}"
    return f"was killed by signal {-status} ({signal.strsignal(-status)})"
