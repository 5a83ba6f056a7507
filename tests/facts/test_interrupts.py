"""Interrupts of recorded hosts: x86, ARM64, with a CPU offline, and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from kstats.facts.interrupts import host_interrupts, newer
from kstats.host import Host
from tests.trees import recorded

X64 = """\
           CPU0       CPU1       CPU3
  24:          1          0          2  IO-APIC   5-edge      ACPI:Ged
  36:          0    4745886          0  IR-PCI-MSIX-0000:00:02.0   1-edge      nvme0q3, nvme0q4
  40:          0          0          0  PCI-MSI 524288-edge      eth0
 NMI:          0          0          0   Non-maskable interrupts
 LOC:         10         11         12   Local timer interrupts
 ERR:          7
"""

ARM64 = """\
           CPU0       CPU1
 11:        100        200     GICv3  30 Level     arch_timer
 13:          5          0     GICv3  33 Edge      9000000.pl011
IPI0:        3          4       Rescheduling interrupts
"""


def read(root: Path, text: str) -> dict[str, dict[int, int]]:
    """Return the interrupts of a host with this file."""
    found = host_interrupts(recorded(root, {"proc/interrupts": text}))
    return {source: dict(cpus) for source, cpus in found.items()}


def test_interrupts_by_source_and_cpu(tmp_path: Path) -> None:
    assert read(tmp_path, X64) == {
        "IRQ 24 ACPI:Ged": {0: 1, 3: 2},
        "IRQ 36 nvme0q3, nvme0q4": {1: 4745886},
        "Local timer interrupts": {0: 10, 1: 11, 3: 12},
        "ERR": {0: 7},
    }


def test_interrupts_of_arm64(tmp_path: Path) -> None:
    assert read(tmp_path, ARM64) == {
        "IRQ 11 arch_timer": {0: 100, 1: 200},
        "IRQ 13 9000000.pl011": {0: 5},
        "Rescheduling interrupts": {0: 3, 1: 4},
    }


@pytest.mark.parametrize("text", ["", "\n", "CPU0\n", "x" * 99, "5: 1 2 3", "CPU0\n 5:\n a b: 1\n"])
def test_what_is_not_a_table_has_no_interrupts(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {}


def test_a_host_without_the_file_has_no_interrupts(tmp_path: Path) -> None:
    assert host_interrupts(Host(tmp_path)) == {}


def test_only_what_grew_is_new() -> None:
    before = {"same": {0: 5}, "grew": {0: 5, 1: 5}, "shrank": {0: 9}}
    now = {"same": {0: 5}, "grew": {0: 7, 1: 5, 2: 1}, "shrank": {0: 2}, "new": {1: 3}}
    assert newer(before, now) == {"grew": {0: 2, 2: 1}, "new": {1: 3}}


def test_this_machine_handles_interrupts() -> None:
    lines = Path("/proc/interrupts").read_text(encoding="utf-8").splitlines()
    found = host_interrupts(Host())
    assert found
    assert len(found) < len(lines)
