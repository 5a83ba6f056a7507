"""A VM of libvirt: the name, the UUID, the number and the vCPUs that libvirt itself reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from tests.live import libvirt
from tests.live.conftest import beds
from tests.live.kstats import report_having, wait_attached, watching

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm-qemu"), indirect=True, scope="session"),
]

_EXITS = "cat /sys/kernel/debug/kvm/*/exits"
_CPU = re.compile(r"CPU #(\d+): thread_id=(\d+)")


@attrs.frozen
class Seen:
    """What kstats showed of a VM, as JSON and as text, and what libvirt and KVM report of it."""

    rows: tuple[dict[str, Any], ...]
    text: str
    listed: str
    threads: dict[int, int]
    kernel_exits: int


@pytest.fixture(scope="module")
def seen(host: Host) -> Iterator[Seen]:
    axes = "vm,vmm,uuid,vmid,pod,namespace,vcpu,tid"
    with libvirt.paused(host), watching(host, "exits", "--by", axes) as watch:
        wait_attached(watch)
        libvirt.virsh(host, "resume", libvirt.NAME)
        host.run(f"until [ $({_EXITS}) -gt 3000 ]; do sleep 0.5; done").check()
        text = report_having(host, ["--by", "vm,vcpu", "--vm", libvirt.NAME], [libvirt.NAME])
        libvirt.virsh(host, "suspend", libvirt.NAME)
        cpus = libvirt.virsh(host, "qemu-monitor-command", libvirt.NAME, "--hmp", "info cpus")
        listed = libvirt.virsh(host, "list", "--id", "--uuid", "--name")
        threads = {int(tid): int(vcpu) for vcpu, tid in _CPU.findall(cpus)}
        exits = _kernel_exits(host)
        yield Seen(tuple(watch.stop().rows()), text, listed, threads, exits)


def _kernel_exits(host: Host) -> int:
    return int(host.run(_EXITS).check().stdout)


def test_name_uuid_and_number_are_those_of_virsh(seen: Seen) -> None:
    uuid, number, name = seen.listed.split()
    assert (uuid, name) == (libvirt.UUID, libvirt.NAME)
    facts = {(row["vmm"], row["uuid"], row["vmid"], row["vm"]) for row in seen.rows}
    assert facts == {("libvirt", uuid, int(number), name)}
    assert {(row["pod"], row["namespace"]) for row in seen.rows} == {(None, None)}


def test_vcpus_are_those_of_qemus_monitor(seen: Seen) -> None:
    assert {row["tid"]: row["vcpu"] for row in seen.rows} == seen.threads
    assert sorted(seen.threads.values()) == [0, 1]


def test_every_exit_is_that_of_the_vm(seen: Seen) -> None:
    assert sum(row["count"] for row in seen.rows) == seen.kernel_exits > 3000


def test_a_table_for_people_has_the_name(seen: Seen) -> None:
    header, *rows = seen.text.splitlines()
    assert header.split() == ["vm", "vcpu", "count", "share%"]
    assert {row.split()[0] for row in rows if not row.startswith("#")} == {libvirt.NAME}
