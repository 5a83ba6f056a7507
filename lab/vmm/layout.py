"""Guest-physical memory: one window for every vCPU, laid out so that page faults can be counted.

vCPUs share nothing below the topmost levels of the host's page tables: two that fill in the same
entry at once would make the loser fault again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from .errors import WorkloadError
from .workload import Workload

PAGE: Final = 4096
# KVM's older MMU also maps the neighbours of a faulting page, within its group of eight, if the
# VMM has used them. So pages that the VMM writes lie one to a group.
GROUP: Final = 8 * PAGE
EXEC_STRIDE: Final = GROUP
WINDOW_ALIGN: Final = 2 << 20  # what one lowest table maps, on x64 as on arm64

CODE: Final = 0 * GROUP
BLOCK: Final = 1 * GROUP
PML4: Final = 2 * GROUP
PDPT: Final = 3 * GROUP
PD: Final = 4 * GROUP
HEAP: Final = 5 * GROUP

DEVICES: Final = 768 << 20  # no memory from here; the guest's page tables map up to 1 GiB
BELL: Final = 1008 << 20  # arm64 rings by a store to here
VGIC_DIST: Final = 1010 << 20
VGIC_REDIST: Final = 1012 << 20


@dataclass(frozen=True)
class Window:
    """The memory of vCPU `index`, for `pages` stores and `execs` calls."""

    index: int
    base: int
    pages: int
    execs: int

    @property
    def code(self) -> int:
        """The page with the binary."""
        return self.base + CODE

    @property
    def block(self) -> int:
        """The page with the program; on x64 also descriptors and stack."""
        return self.base + BLOCK

    @property
    def page_tables(self) -> tuple[int, int, int]:
        """The guest's own page tables (x64), topmost first."""
        return self.base + PML4, self.base + PDPT, self.base + PD

    @property
    def heap(self) -> int:
        """The pages to store to: never touched by the VMM."""
        return self.base + HEAP

    @property
    def calls(self) -> int:
        """The pages to call: the VMM writes a return into each."""
        return self.heap + _up(self.pages * PAGE, GROUP)

    def call(self, number: int) -> int:
        """One of the pages to call."""
        return self.calls + number * EXEC_STRIDE

    @property
    def end(self) -> int:
        """Where the next window begins."""
        return _up(self.calls + self.execs * EXEC_STRIDE, WINDOW_ALIGN)

    @property
    def device(self) -> int:
        """An address without memory, on a page and in a page table of this vCPU."""
        return DEVICES + self.index * WINDOW_ALIGN


@dataclass(frozen=True)
class Layout:
    """The windows of a VM's vCPUs."""

    windows: tuple[Window, ...]

    @cached_property
    def size(self) -> int:
        """Bytes of memory that the VM needs, from address 0."""
        return self.windows[-1].end


def layout(workload: Workload, vcpus: int) -> Layout:
    """Place `vcpus` windows; raises `WorkloadError` if they do not fit below `DEVICES`."""
    pages = _units(workload, "page")
    execs = _units(workload, "exec")
    windows: list[Window] = []
    for index in range(vcpus):
        base = windows[-1].end if windows else 0
        windows.append(Window(index, base, pages, execs))
    placed = Layout(tuple(windows))
    if placed.size > DEVICES or windows[-1].device >= BELL:
        raise WorkloadError(f"{vcpus} vCPUs with {pages} + {execs} fresh pages are too many")
    return placed


def _units(workload: Workload, kind: str) -> int:
    return sum(step.count for step in workload if step.kind == kind)


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
