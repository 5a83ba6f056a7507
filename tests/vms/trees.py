"""Trees of /proc and debugfs: built by hand, or from the recordings in tests/data/proc.

The recording qemu.toml is of a VM that ran; the others were written from the documentation and
the sources of the VMMs.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from kstats.host import Host
from kstats.vms.identity import Thread, Vm

FOLDER = Path(__file__).parent.parent / "data/proc"
RECORDINGS = sorted(path.stem for path in FOLDER.glob("*.toml"))

START = 1234

VM, EVENT = "anon_inode:kvm-vm", "anon_inode:[eventfd]"


def vcpu(number: int) -> str:
    """Return the target of a vCPU's descriptor."""
    return f"anon_inode:kvm-vcpu:{number}"


def stats(number: int) -> str:
    """Return the target of the descriptor of a vCPU's statistics."""
    return f"anon_inode:kvm-vcpu-stats:{number}"


QEMU_FDS = {3: "/dev/kvm", 9: VM, 10: vcpu(0), 11: stats(0), 12: vcpu(1), 13: stats(1), 14: EVENT}


def stat(pid: int, comm: str = "vmm", start: int = START) -> str:
    """Return a line as in /proc/PID/stat."""
    return f"{pid} ({comm}) S 1 {pid} {pid} 0 -1 4194560 {'0 ' * 8}20 0 1 0 {start} 1 2 3\n"


@attrs.frozen
class Tree:
    """A host below ``root``."""

    root: Path

    @property
    def host(self) -> Host:
        """The host to test with."""
        return Host(self.root, "x86_64")

    def write(self, path: str, data: str | bytes) -> Path:
        """Write a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return file

    def link(self, path: str, to: str) -> None:
        """Create a symbolic link, as /proc/PID/exe and /proc/PID/fd/N are."""
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(to)

    def process(  # noqa: PLR0913 - the files of a process, most left alone
        self,
        pid: int,
        *words: str | bytes,
        exe: str = "",
        cgroup: Iterable[str] = ("0::/user.slice",),
        line: str = "",
        start: int = START,
        ns_pid: Iterable[int] = (),
        fds: Mapping[int, str] | None = None,
        threads: Mapping[str, str | bytes] | None = None,
    ) -> None:
        """Create a process; its first thread is called ``vmm`` unless ``threads`` names it."""
        raw = [word.encode() if isinstance(word, str) else word for word in words]
        self.write(f"proc/{pid}/cmdline", b"".join(word + b"\0" for word in raw))
        self.write(f"proc/{pid}/cgroup", "".join(f"{group}\n" for group in cgroup))
        numbers = "\t".join(map(str, [*ns_pid] or [pid]))
        self.write(f"proc/{pid}/status", f"Name:\tvmm\nTgid:\t{pid}\nNSpid:\t{numbers}\n")
        self.write(f"proc/{pid}/task/{pid}/stat", line or stat(pid, start=start))
        if exe:
            self.link(f"proc/{pid}/exe", exe)
        (self.root / f"proc/{pid}/fd").mkdir(parents=True)
        for fd, to in (fds or {}).items():
            self.link(f"proc/{pid}/fd/{fd}", to)
        for tid, comm in ({str(pid): "vmm"} | dict(threads or {})).items():
            self.thread(pid, int(tid), comm)

    def thread(self, pid: int, tid: int, comm: str | bytes) -> None:
        """Create a thread. Unlike the kernel's, this /proc also lists /proc/TID."""
        raw = comm.encode() if isinstance(comm, str) else comm
        self.write(f"proc/{pid}/task/{tid}/comm", raw + b"\n")
        if tid != pid:
            self.write(f"proc/{tid}/status", f"Name:\tthread\nTgid:\t{pid}\n")

    def vm(self, maker: int, fd: int, vcpus: Mapping[int, int] | None = None) -> None:
        """Create the VM's folder in debugfs; without ``vcpus`` as on kernels before 6.0."""
        folder = f"sys/kernel/debug/kvm/{maker}-{fd}"
        self.write(f"{folder}/exits", "0\n")
        for vcpu, tid in (vcpus or {}).items():
            self.write(f"{folder}/vcpu{vcpu}/pid", f"{tid}\n")

    def remove(self, path: str) -> None:
        """Move a folder out of the way. Deleting it would let a later one get its inode."""
        aside = self.root / "removed"
        aside.mkdir(exist_ok=True)
        (self.root / path).rename(aside / str(len(list(aside.iterdir()))))

    def end_thread(self, pid: int, tid: int) -> None:
        """End a thread; debugfs keeps reporting its number."""
        self.remove(f"proc/{pid}/task/{tid}")
        self.remove(f"proc/{tid}")

    def end(self, pid: int) -> None:
        """End a process with all its threads and VMs."""
        for task in (self.root / f"proc/{pid}/task").iterdir():
            if task.name != str(pid):
                self.remove(f"proc/{task.name}")
            for folder in (self.root / "sys/kernel/debug/kvm").glob(f"{task.name}-*"):
                self.remove(os.fspath(folder.relative_to(self.root)))
        self.remove(f"proc/{pid}")


def recorded(root: Path, name: str) -> tuple[Tree, dict[Vm, list[Thread]]]:
    """Build a recorded host; return it and the VMs that it has."""
    data = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    tree = Tree(root)
    for process in data["process"]:
        tree.process(
            process["pid"],
            *process["cmdline"],
            exe=process["exe"],
            cgroup=process.get("cgroup", ["0::/"]),
            line=process.get("stat", ""),
            ns_pid=process.get("NSpid", ()),
            fds={int(fd): to for fd, to in process.get("fds", {}).items()},
            threads=process["threads"],
        )
    for folder, vm in data.get("debugfs", {}).items():
        maker, fd = folder.split("-")
        tree.vm(int(maker), int(fd), {int(n): tid for n, tid in vm.get("vcpus", {}).items()})
    return tree, dict(map(_expected, data["vm"]))


def _expected(vm: dict[str, Any]) -> tuple[Vm, list[Thread]]:
    vcpus = vm.pop("vcpus", {})
    expected = Vm(**{"start": START, "fd": None} | vm)
    return expected, [
        Thread(tid, expected.pid, None if number == "?" else int(number), expected)
        for number, tid in vcpus.items()
    ]
