"""This machine's /proc, compared with what Python knows; and malformed files in /proc."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kstats.escape import printable
from kstats.vms.naming import identify, vcpu_number
from kstats.vms.proc import Proc
from tests.vms.trees import Tree, stat

PROC = Proc(Path("/"))
BYTES = st.binary(max_size=40)
NAMES = BYTES | st.lists(st.sampled_from([b") S 1 (", b")", b" ", b"\n", b"7"])).map(b"".join)
A_FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@contextmanager
def thread_called(name: bytes) -> Iterator[int]:
    """Run a thread of this process that names itself; yield its thread ID."""
    ready, done = threading.Event(), threading.Event()
    number = []

    def live() -> None:
        number.append(threading.get_native_id())
        Path(f"/proc/self/task/{number[0]}/comm").write_bytes(name)
        ready.set()
        done.wait()

    thread = threading.Thread(target=live)
    thread.start()
    ready.wait()
    try:
        yield number[0]
    finally:
        done.set()
        thread.join()
        # Python is done with it; the kernel needs a moment more.
        deadline = time.monotonic() + 300
        while PROC.has_thread(os.getpid(), number[0]) and time.monotonic() < deadline:
            time.sleep(0.001)


def test_a_process_started_when_the_clock_says() -> None:
    with subprocess.Popen(["sleep", "20"]) as child:
        started = PROC.start(child.pid)
        child.kill()
    assert started is not None
    ago = time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
    assert -0.1 < ago < 10
    assert PROC.start(child.pid) is None
    assert PROC.threads(child.pid) == {}
    assert PROC.cmdline(child.pid) == []


@pytest.mark.parametrize(
    "name", [b"CPU 11/KVM", b") S 1 (", b"\x1b[31m \xff", b"a\nb", b" \n", b"\0"]
)
def test_a_thread_with_any_name(name: bytes) -> None:
    me = os.getpid()
    with thread_called(name) as tid:
        assert os.fsencode(PROC.comm(me, tid)) == name.rstrip(b"\0")
        assert PROC.owner(tid) == me
        assert PROC.has_thread(me, tid)
        assert str(tid) in PROC.threads(me)
        assert tid == me or str(tid) not in PROC.processes()
    assert not PROC.has_thread(me, tid)
    assert PROC.comm(me, tid) == ""


def test_threads_keep_their_inodes_and_the_stamp_changes_with_new_ones() -> None:
    me = os.getpid()
    before, stamp = PROC.threads(me), PROC.stamp(me)
    assert PROC.threads(me) == before
    assert PROC.stamp(me) == stamp
    with thread_called(b"vcpu3"):
        assert before.items() < PROC.threads(me).items()
        assert PROC.stamp(me) != stamp


def test_this_process_as_others_see_it() -> None:
    me = os.getpid()
    assert PROC.own_pid(me) == me
    assert PROC.cmdline(me)
    assert PROC.program(me).startswith("python")
    assert len(PROC.cgroups(me)) >= 1
    assert str(me) in PROC.processes()


def test_descriptors_are_those_of_open_files(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        assert (file.fileno(), str(tmp_path / "file")) in PROC.descriptors(os.getpid())
    with pytest.raises(FileNotFoundError):
        list(PROC.descriptors(1 << 30))


@pytest.mark.parametrize(
    ("links", "are_the_hosts"),
    [
        ({}, None),
        ({"1": 4026531836}, True),
        ({"1": 4026532201}, False),
        ({"1": 4026532201, "self": 4026531836}, False),
        ({"self": 4026531836}, True),
        ({"self": 4026532201}, None),
    ],
)
def test_whether_pids_are_the_hosts(
    tmp_path: Path,
    links: dict[str, int],
    are_the_hosts: bool | None,  # noqa: FBT001 - data
) -> None:
    for process, namespace in links.items():
        Tree(tmp_path).link(f"proc/{process}/ns/pid", f"pid:[{namespace}]")
    assert Proc(tmp_path).has_host_pids() is are_the_hosts


@given(comm=NAMES, start=st.integers(0, 2**64))
@A_FEW
def test_the_start_is_found_whatever_the_name(tmp_path: Path, comm: bytes, start: int) -> None:
    line = stat(7, "COMM", start).encode().replace(b"COMM", comm)
    Tree(tmp_path).write("proc/7/task/7/stat", line)
    assert Proc(tmp_path).start(7) == start


@given(st.lists(BYTES, min_size=5, max_size=5))
@A_FEW
def test_files_of_any_bytes_are_read_and_shown(tmp_path: Path, raw: list[bytes]) -> None:
    """Nothing raises, and nothing is printed unescaped."""
    tree, proc = Tree(tmp_path), Proc(tmp_path)
    tree.write("proc/7/task/7/stat", raw[0])
    tree.write("proc/7/task/7/comm", raw[1])
    tree.write("proc/7/cmdline", b"qemu-kvm\0-name\0" + raw[2])
    tree.write("proc/7/cgroup", b"0::/machine.slice/" + raw[3])
    tree.write("proc/7/status", b"Tgid:\t" + raw[4] + b"\nNSpid:\t" + raw[4])
    name = identify(proc, 7).name
    assert printable(name).isprintable()
    numbers = (vcpu_number(proc.comm(7, 7)), proc.start(7), proc.owner(7), proc.own_pid(7))
    assert all(number is None or number >= 0 for number in numbers)


def test_a_name_of_four_kibibytes_is_read_whole(tmp_path: Path) -> None:
    name = "x" * 4096 + "\x1b]0;title\a"
    Tree(tmp_path).process(7, "qemu-kvm", "-name", f"guest={name}")
    assert identify(Proc(tmp_path), 7).name == name


def test_what_may_not_be_read_is_unknown() -> None:
    with mock.patch("os.open", side_effect=PermissionError):
        assert PROC.comm(1, 1) == ""
        assert PROC.cmdline(1) == []
        assert PROC.start(1) is None
        assert PROC.owner(1) is None


def test_a_process_may_end_between_open_and_read() -> None:
    with mock.patch("os.read", side_effect=ProcessLookupError):
        assert PROC.comm(os.getpid(), os.getpid()) == ""
