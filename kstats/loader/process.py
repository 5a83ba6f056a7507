"""The process of a worker (:mod:`kstats.loader.worker`), as its parent sees it.

It imports little, so that a command can start a worker first, and import the rest of kstats while
the worker starts.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import kstats
from kstats import csource

ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
"""All of a worker's environment: no variable of the user can make it load other code."""

LOADERS = ("prebuilt", "bcc")
"""The ways to load a program, best first."""

_MOST_FDS = 64  # maps, programs and links
_ANSWER_SIZE = 1 << 16


class Worker:
    """A process that carries out one plan.

    Attributes:
        loader: One of :data:`LOADERS`.
        used: Whether it has got its plan.
    """

    def __init__(self, loader: str) -> None:
        """Start it."""
        self.loader = loader
        self.used = False
        python, env = COMMANDS[loader]()
        self._channel, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        self._log = open(os.memfd_create("kstats-log"), "w+b")  # noqa: SIM115, PTH123 - see close()
        # The package's directory goes last on the path: the distribution's Python must find kstats
        # there, and everything else in its own directories.
        package = os.path.dirname(os.path.dirname(kstats.__file__))  # noqa: PTH120 - start-up time
        code = (
            f"import sys; sys.path.append({package!r}); "
            "from kstats.loader import worker; worker.main()"
        )
        with theirs:
            self._child = subprocess.Popen(
                [*python, "-c", code, loader, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs.fileno()],
                env=env,
            )

    def run(self, plan: Mapping[str, Any]) -> tuple[dict[str, Any], list[int], str]:
        """Let it carry out a plan (:func:`kstats.loader.program.wire`), and end.

        Return its answer, descriptors and messages. A worker that ends without an answer, as when a
        damaged object crashes libbpf, makes its loader unavailable.
        """
        self.used = True
        self._child.communicate(json.dumps(plan).encode())
        answer, fds = _receive(self._channel)
        self._child.kill()
        returncode = self._child.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip()
        if not answer:
            answer = {"unavailable": f"the loading process {_end(returncode)}", "hint": ""}
        return answer, fds, said

    def close(self) -> None:
        """End it; calling it again has no effect."""
        self._child.kill()
        self._child.wait()
        if self._child.stdin:
            self._child.stdin.close()
        self._channel.close()
        self._log.close()

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


def _prebuilt() -> tuple[list[str], Mapping[str, str]]:
    # -I and -S: the standard library only, and nothing that the user or the site has set up.
    return [sys.executable, "-I", "-S"], ENVIRONMENT


def _bcc() -> tuple[list[str], Mapping[str, str]]:
    from kstats.loader.bcc_python import python_with_bcc  # noqa: PLC0415 - few hosts need bcc

    headers = f"{csource.directory()}/headers"
    return [python_with_bcc(), "-I"], {**ENVIRONMENT, "BCC_KERNEL_SOURCE": headers}


COMMANDS: dict[str, Callable[[], tuple[list[str], Mapping[str, str]]]] = {
    "prebuilt": _prebuilt,
    "bcc": _bcc,
}
"""The interpreter with its options, and the environment, of each loader's worker."""


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    data, fds, _, _ = socket.recv_fds(channel, _ANSWER_SIZE, _MOST_FDS)
    for fd in fds:
        os.set_inheritable(fd, False)  # noqa: FBT003 - the standard library's signature
    return (json.loads(data) if data else {}), list(fds)


def _end(status: int) -> str:
    """Return how a process with this return code ended."""
    if status >= 0:
        return f"ended with {status}"
    return f"was killed by signal {-status} ({signal.strsignal(-status)})"
