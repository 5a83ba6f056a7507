"""``kstats exits`` around VMs of QEMU: their names, their vCPUs, and the kernel's counts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from tests.live import qemu
from tests.live.conftest import Bed, beds
from tests.live.kstats import now, report_having, wait_attached, watching

pytestmark = pytest.mark.host


def in_hosts(*recipes: str) -> pytest.MarkDecorator:
    """Run a test in these hosts."""
    return pytest.mark.parametrize("bed", beds(*recipes), indirect=True, scope="session")


HOSTILE = "e\x1b[31mvil\nweb\t" + "x" * 4096
SHOWN = r"e\x1b[31mvil\nweb\t"
NAMES = ("guest=web,debug-threads=on", HOSTILE)
"""A VM as libvirt starts it, and one with unnamed threads."""


@attrs.frozen
class Seen:
    """Two VMs, their rows, and the kernel's information when they were stopped."""

    vms: tuple[qemu.Qemu, ...]
    rows: tuple[dict[str, Any], ...]
    kernel_exits: tuple[int, ...]
    vcpus: tuple[dict[int, int], ...]
    threads: tuple[dict[int, str], ...]

    def of(self, number: int) -> list[dict[str, Any]]:
        """Return the rows of a VM."""
        return [row for row in self.rows if row["pid"] == self.vms[number].pid]


@pytest.fixture(scope="module")
def seen(bed: Bed, host: Host) -> Iterator[Seen]:
    qemu.prepare(host)
    with watching(host, "exits", "--by", "pid,tid,vm,vcpu,reason") as watch:
        wait_attached(watch)
        with qemu.running(bed, host, NAMES[0]) as web, qemu.running(bed, host, NAMES[1]) as evil:
            vms = (web, evil)
            for vm in vms:
                vm.wait_until_both_vcpus_run(bed)
            for vm in vms:
                vm.freeze()
            seen = Seen(
                vms,
                (),
                tuple(vm.kernel_exits() for vm in vms),
                tuple(vm.vcpu_threads() for vm in vms),
                tuple(vm.thread_names() for vm in vms),
            )
            yield attrs.evolve(seen, rows=tuple(watch.stop().rows()))


@in_hosts("svm-qemu", "arm64-qemu")
@pytest.mark.parametrize("vm", [0, 1], ids=["web", "hostile"])
def test_exits_are_those_of_the_kernels_counters(seen: Seen, vm: int) -> None:
    assert sum(row["count"] for row in seen.of(vm)) == seen.kernel_exits[vm] > 3000


@in_hosts("svm-qemu", "arm64-qemu")
@pytest.mark.parametrize(("vm", "name"), [(0, "web"), (1, HOSTILE)], ids=["web", "hostile"])
def test_vms_have_their_names(seen: Seen, vm: int, name: str) -> None:
    assert {row["vm"] for row in seen.of(vm)} == {name}


@in_hosts("svm-qemu", "arm64-qemu")
def test_thread_names_number_vcpus(seen: Seen) -> None:
    named = {tid: name for tid, name in seen.threads[0].items() if name.endswith("/KVM")}
    assert sorted(named.values()) == ["CPU 0/KVM", "CPU 1/KVM"]
    shown = {row["tid"]: f"CPU {row['vcpu']}/KVM" for row in seen.of(0)}
    assert shown == named


@in_hosts("svm-qemu")
def test_debugfs_numbers_vcpus_with_unnamed_threads(seen: Seen) -> None:
    assert not any(name.endswith("/KVM") for name in seen.threads[1].values())
    assert {row["tid"]: row["vcpu"] for row in seen.of(1)} == seen.vcpus[1]
    assert sorted(seen.vcpus[1].values()) == [0, 1]


@in_hosts("arm64-qemu")
def test_without_either_the_first_exit_of_a_thread_numbers_its_vcpu(seen: Seen) -> None:
    assert not seen.vcpus[1]
    assert sorted({row["tid"]: row["vcpu"] for row in seen.of(1)}.values()) == [0, 1]


def exits(host: Host, *words: str, pids: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return a report of ``kstats exits`` that has rows, or rows of all these processes."""
    having = [f'"pid": {pid},' for pid in pids] or ['"count"']
    report: dict[str, Any] = json.loads(report_having(host, [*words, "-f", "json"], having))
    return report


@in_hosts("svm-qemu")
def test_a_hostile_name_is_escaped_and_selects_its_vm_as_shown(host: Host, seen: Seen) -> None:
    for vm in seen.vms:
        vm.thaw()
    everything = report_having(host, ["--by", "vm"], [SHOWN])
    name = next(line for line in everything.splitlines() if line.startswith(SHOWN)).split()[0]
    assert everything.replace("\n", "").isprintable()
    assert len(name) == 64
    report = exits(host, "--vm", "e*vil*", "--by", "vm,pid,vcpu")
    assert {(row["vm"], row["pid"]) for row in report["rows"]} == {(HOSTILE, seen.vms[1].pid)}
    report = exits(host, "--vm", "web", "--by", "vm,pid,vcpu")
    assert {(row["vm"], row["pid"]) for row in report["rows"]} == {("web", seen.vms[0].pid)}


@in_hosts("svm-qemu")
def test_without_debugfs_names_or_first_exits_number_vcpus(host: Host, seen: Seen) -> None:
    for vm in seen.vms:
        vm.thaw()
    # The tracefs in debugfs is a separate mount.
    host.run("umount /sys/kernel/tracing && umount -l /sys/kernel/debug").check()
    try:
        report = exits(host, "--by", "pid,vm,tid,vcpu", pids=tuple(vm.pid for vm in seen.vms))
    finally:
        host.run("mount -t tracefs nodev /sys/kernel/tracing").check()
        host.run("mount -t debugfs nodev /sys/kernel/debug").check()
    rows = [row for row in report["rows"] if row["pid"] == seen.vms[0].pid]
    assert rows
    for row in rows:
        assert seen.threads[0][row["tid"]] == f"CPU {row['vcpu']}/KVM"
    others = [row for row in report["rows"] if row["pid"] == seen.vms[1].pid]
    assert {row["vm"] for row in others} == {HOSTILE}
    # Threads without a name are numbered by their first exits.
    assert all(row["vcpu"] == seen.vcpus[1][row["tid"]] for row in others)


PID = 20000


@contextmanager
def numbered(bed: Bed, host: Host, name: str) -> Iterator[None]:
    """Run a VM with the process ID :data:`PID`; the IDs of its threads follow."""
    # Another process may get the ID first: try again.
    script = f"""
    while echo {PID - 1} >/proc/sys/kernel/ns_last_pid; do
        {qemu.shell_words(bed, name)} &
        [ $! = {PID} ] && echo running && break
        kill -9 $!
        wait $!
    done
    wait
    """
    with host.start(script) as command:
        command.wait_output("running")  # before that, no other command may start
        exits = f"cat /sys/kernel/debug/kvm/{PID}-*/exits"
        host.run(f"until [ $({exits} 2>/dev/null || echo 0) -gt 3000 ]; do sleep 0.5; done").check()
        assert host.run(f"cat /proc/{PID}/cmdline").check().stdout.endswith(f"{name}\0")
        yield
    host.run(f"while [ -d /proc/{PID} ]; do sleep 0.1; done").check()


@in_hosts("svm-qemu")
def test_reused_process_ids_belong_to_the_new_vm(bed: Bed, host: Host) -> None:
    with watching(host, "exits", "--by", "pid,tid,vm,vcpu", "1", "600") as watch:
        wait_attached(watch)
        for name in ("first", "second"):
            with numbered(bed, host, name):
                watch.wait_reports(2, now(host))
            watch.wait_reports(2, now(host))
        watch.stop()
    names: dict[str, set[tuple[int, int]]] = {"first": set(), "second": set()}
    order = []
    for row in watch.rows():
        if row["pid"] == PID:
            names[row["vm"]].add((row["tid"], row["vcpu"]))
            order.append(row["vm"])
    for seen in names.values():
        assert sorted(vcpu for _, vcpu in seen) == [0, 1]
    assert order == sorted(order)


@in_hosts("svm-qemu")
def test_a_vm_in_a_pid_namespace_has_the_hosts_process_ids(bed: Bed, host: Host) -> None:
    """In the namespace, kstats refuses to run, because it cannot identify processes."""
    inside = f"kstats exits 1; echo status $?; exec {qemu.shell_words(bed, 'caged')}"
    with host.start("busybox unshare -m -p -f --mount-proc sh -c " + shlex.quote(inside)) as caged:
        caged.wait_output("status 4")
        assert "cannot be identified in a separate PID namespace" in caged.stderr
        report = exits(host, "--vm", "caged", "--by", "pid,tid,vm,vcpu")
        script = "for p in /proc/[0-9]*; do grep -q caged $p/cmdline && grep NSpid $p/status; done"
        told = host.run(script).stdout
    numbers = {int(line.split()[1]): line.split()[2:] for line in told.splitlines()}
    assert report["rows"]
    for row in report["rows"]:
        assert len(numbers[row["pid"]]) == 1
        assert row["vcpu"] in (0, 1)
