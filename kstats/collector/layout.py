"""What programs count by on a host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Layout(NamedTuple):
    """What programs count by on a host.

    Attributes:
        arch: The architecture's name.
        isa: The ISA of the exit codes.
        cpus: The possible CPUs, ascending.
        codes: The code of each slot (:class:`kstats.arch.base.SlotRange`).
    """

    arch: str
    isa: str
    cpus: Sequence[int]
    codes: Sequence[int]
