"""Several VMs at once, each in its own process, started together."""

from __future__ import annotations

import ctypes
import math
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from typing import Any, Final, Self

from .errors import VmmError
from .runner import Plan, VirtualMachine

_FORK: Final = multiprocessing.get_context("fork")
_PR_SET_PDEATHSIG: Final = 1


class Fleet:
    """The VMs of a plan; as a context manager, it creates them and ends them.

    A VM outlives its workload, so that the kernel's counters of it can be read.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pipes: list[Connection] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []

    def __enter__(self) -> Self:
        for number in range(self._plan.vms):
            ours, theirs = _FORK.Pipe()
            process = _FORK.Process(target=_vm_process, args=(theirs, self._plan, number))
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def ready(self, deadline: float) -> list[dict[str, Any]]:
        """Wait until all VMs exist; return their process IDs and the thread IDs of their vCPUs."""
        return [_receive(pipe, deadline) for pipe in self._pipes]

    def start(self) -> None:
        """Let all guests start."""
        self._send("start")

    def stop(self) -> None:
        """Let guests that run forever end after their lap."""
        self._send("stop")

    def reports(self, deadline: float) -> list[dict[str, Any]]:
        """Wait until all VMs are done; raise the error of a VM that failed."""
        return [_receive(pipe, deadline) for pipe in self._pipes]

    def _send(self, word: str) -> None:
        for pipe in self._pipes:
            pipe.send(word)


def _receive(pipe: Connection, deadline: float) -> dict[str, Any]:
    seconds = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
    if not pipe.poll(seconds):
        raise VmmError("the guests did not finish in time")
    try:
        answer = pipe.recv()
    except EOFError:
        raise VmmError("a VM's process died") from None
    if isinstance(answer, VmmError):
        raise answer
    return dict(answer)


def _vm_process(pipe: Connection, plan: Plan, number: int) -> None:
    """Run in a VM's process: report readiness, wait for the start, report, stay."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        pipe.send(_run(VirtualMachine(plan, number), pipe))
    except VmmError as error:
        pipe.send(error)
    signal.pause()


def _run(vm: VirtualMachine, pipe: Connection) -> dict[str, Any]:
    vcpus = [{"vcpu": t.report.vcpu, "tid": t.report.tid} for t in vm.threads]
    pipe.send({"pid": os.getpid(), "vcpus": vcpus})
    pipe.recv()
    threading.Thread(target=_listen, args=(vm, pipe), daemon=True).start()
    vm.start()
    return {"pid": os.getpid(), "vcpus": vm.join()}


def _listen(vm: VirtualMachine, pipe: Connection) -> None:
    pipe.recv()
    vm.stopping.set()
