"""The layout of guest memory: a window for every vCPU, so that the number of page faults is known.

Windows share only the top levels of the host's page tables: if two vCPUs filled in the same entry
at once, one of them would fault again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from .errors import WorkloadError
from .workload import Workload

PAGE: Final = 4096
# KVM's older MMU maps the other used pages in the group of eight around a faulting page, too. So
# each page that the VMM writes has a group of its own.
GROUP: Final = 8 * PAGE
EXEC_STRIDE: Final = GROUP
WINDOW_ALIGN: Final = 2 << 20  # the range of a lowest-level table, on x64 and arm64

CODE: Final = 0 * GROUP
BLOCK: Final = 1 * GROUP
PML4: Final = 2 * GROUP
PDPT: Final = 3 * GROUP
PD: Final = 4 * GROUP
HEAP: Final = 5 * GROUP

DEVICES: Final = 768 << 20  # memory ends here; the guest's page tables map 1 GiB
BELL: Final = 1008 << 20  # arm64's doorbell
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
        """The address of the page with the binary."""
        return self.base + CODE

    @property
    def block(self) -> int:
        """The address of the page with the program, and on x64 with descriptors and stack."""
        return self.base + BLOCK

    @property
    def page_tables(self) -> tuple[int, int, int]:
        """The addresses of the guest's own page tables (x64), top level first."""
        return self.base + PML4, self.base + PDPT, self.base + PD

    @property
    def heap(self) -> int:
        """The address of the pages to store to, which the VMM does not touch."""
        return self.base + HEAP

    @property
    def calls(self) -> int:
        """The address of the pages to call, each with a return that the VMM writes."""
        return self.heap + _up(self.pages * PAGE, GROUP)

    def call(self, number: int) -> int:
        """Return the address of a page to call."""
        return self.calls + number * EXEC_STRIDE

    @property
    def end(self) -> int:
        """The address of the next window."""
        return _up(self.calls + self.execs * EXEC_STRIDE, WINDOW_ALIGN)

    @property
    def device(self) -> int:
        """An address without memory, in a page table of this vCPU alone."""
        return DEVICES + self.index * WINDOW_ALIGN


@dataclass(frozen=True)
class Layout:
    """The windows of a VM's vCPUs."""

    windows: tuple[Window, ...]

    @cached_property
    def size(self) -> int:
        """The size of the VM's memory, in bytes."""
        return self.windows[-1].end


def layout(workload: Workload, vcpus: int) -> Layout:
    """Place `vcpus` windows; raise `WorkloadError` if they do not fit below `DEVICES`."""
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
