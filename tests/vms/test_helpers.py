"""CPU time beside the vCPUs: of this process's own threads, and of a recorded /proc."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from kstats.host import Host
from kstats.vms.helpers import HelperTimes
from kstats.vms.identity import Kind, Thread, Vm

TICK = os.sysconf("SC_CLK_TCK")


def thread(pid: int, tid: int) -> Thread:
    return Thread(tid, pid, 0, Vm(pid, 1, Kind.QEMU, "web"))


def write(root: Path, ids: tuple[int, int], ticks: int, comm: str, cmdline: str) -> None:
    """Write what proc(5) has of a thread."""
    pid, tid = ids
    folder = root / f"proc/{pid}/task/{tid}"
    folder.mkdir(parents=True, exist_ok=True)
    times = f"{ticks} {2 * ticks}"
    (folder / "stat").write_text(f"{tid} ({comm}) S 1 1 1 0 -1 0 0 0 0 0 {times} 0 0 20 0 1 0 9")
    (folder / "comm").write_text(f"{comm}\n")
    (root / f"proc/{pid}/cmdline").write_text(cmdline)


def test_threads_of_the_process_and_vhost(tmp_path: Path) -> None:
    root = tmp_path

    def now(factor: int) -> None:
        write(root, (100, 100), 10 * factor, "qemu-system-x86", "qemu\0")
        write(root, (100, 101), 1000 * factor, "CPU 0/KVM", "qemu\0")
        write(root, (100, 102), 20 * factor, "IO mon_iothread", "qemu\0")
        write(root, (200, 200), 40 * factor, "vhost-100", "")
        write(root, (300, 300), 7000 * factor, "vhost-100", "impostor\0")
        write(root, (400, 400), 7000 * factor, "vhost-999", "")

    now(1)
    helpers = HelperTimes(Host(root))
    begun = time.monotonic()
    assert helpers.shares([thread(100, 101)]) == {}
    now(2)
    (share,) = helpers.shares([thread(100, 101)]).values()
    ticks = 3 * (10 + 20 + 40)  # user and system time, without the vCPU and the impostor
    assert 0 < ticks / TICK * 100 / share <= time.monotonic() - begun


def test_a_real_process_is_measured() -> None:
    helpers = HelperTimes(Host())
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            vcpu = thread(busy.pid, busy.pid + 1)  # none of its threads
            share = helpers.shares([vcpu]).get(busy.pid, 0.0)
            while share <= 0:
                share = helpers.shares([vcpu])[busy.pid]
        finally:
            busy.kill()
    assert share > 0


def test_a_process_that_ends_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, (100, 100), 10, "qemu", "qemu\0")
    helpers = HelperTimes(Host(tmp_path))
    helpers.shares([thread(100, 101), thread(500, 501)])
    assert helpers.shares([thread(500, 501)]) == {}
