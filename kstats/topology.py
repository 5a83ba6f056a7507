"""The location of CPUs: NUMA nodes, sockets, dies and cores."""

from __future__ import annotations

from typing import NamedTuple

UNKNOWN = -1

LEVELS = ("cpu", "node", "socket", "core")
"""What rows can stand for: a CPU, or one of what groups CPUs."""


class CpuTopology(NamedTuple):
    """The NUMA node, socket, die and core of a CPU, by the kernel's numbers; -1 if unknown.

    Die numbers are unique within a socket, core numbers within a die.
    """

    node: int = UNKNOWN
    socket: int = UNKNOWN
    die: int = UNKNOWN
    core: int = UNKNOWN
