"""Where CPUs are: NUMA nodes, sockets, dies and cores."""

from __future__ import annotations

from typing import NamedTuple

UNKNOWN = -1


class CpuTopology(NamedTuple):
    """The NUMA node, socket, die and core of a CPU, by the kernel's numbers; -1 if unknown.

    Numbers of dies repeat in each socket, and those of cores in each die.
    """

    node: int = UNKNOWN
    socket: int = UNKNOWN
    die: int = UNKNOWN
    core: int = UNKNOWN
