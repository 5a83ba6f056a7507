"""Features: a measurement as one value that says what it needs and fills samples.

To add one, write a C file in bpf/ and a :class:`Feature` that names it, reads its maps and fills
the fields of a sample that the measurement is about. A program is a sequence of features;
:meth:`kstats.collector.target.Target.plan` joins them, in any order.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kstats.arch.base import Arch, BtfField, Probe
from kstats.collector.layout import Layout
from kstats.loader.plan import Attachment, MapSize
from kstats.loader.program import Loaded

if TYPE_CHECKING:
    # A start ends with attached programs, and samples are made later.
    from kstats.collector.draft import Draft
    from kstats.filters import ThreadFilter


class Phase(enum.IntEnum):
    """The order in which features are read. They fill a sample in reverse.

    The kernel counts an exit, then times it, then reports it if it was slow. Reading goes the
    other way: so every slow exit of a sample was also timed, and every timed exit also counted.
    Filling begins with the counts, to which others add.
    """

    SLOW_EXITS = 1
    LATENCY = 2
    OTHER = 3
    COUNTS = 4


class Feature:
    """One measurement. What it does not override, it does not need.

    Attributes:
        phase: When it is read.
        files: The C files of bpf/ that it needs.
        maps: The BPF maps of its C files.
        defines: Preprocessor definitions of the C files: what its programs differ by.
        numbers: Further definitions, for NUMBER() and its like in the C files. They differ between
            hosts and runs; prebuilt objects contain placeholders for them.
        generated: C that depends on the architecture.
        wanted: The threads that it selects in the kernel, by process and thread ID; None for all.
        attachments: The C functions that run, and their tracepoints.
        btf: Offsets that its C needs besides the probe's.
        counted: What samples contain thanks to it: names that views require.
    """

    phase: ClassVar[Phase] = Phase.OTHER

    @property
    def files(self) -> tuple[str, ...]:
        return ()

    @property
    def maps(self) -> tuple[MapSize, ...]:
        return ()

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        return ()

    @property
    def btf(self) -> tuple[BtfField, ...]:
        return ()

    @property
    def counted(self) -> tuple[str, ...]:
        return ()

    @property
    def defines(self) -> Mapping[str, int]:
        return {}

    @property
    def numbers(self) -> Mapping[str, int]:
        return {}

    @property
    def generated(self) -> str:
        return ""

    @property
    def wanted(self) -> ThreadFilter | None:
        return None

    def companions(self, arch: Arch, isa: str) -> tuple[Feature, ...]:
        """Return features that prebuilt objects with this one contain, too."""
        del arch, isa
        return ()

    def probes(self, probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
        """Return those of ``probes`` that it works with, and with what it needs of them."""
        return probes

    def reader(self, loaded: Loaded, layout: Layout) -> Callable[[], Any]:
        """Return a function that reads running totals of the loaded program."""
        del loaded, layout
        return lambda: None

    def fill(self, draft: Draft, before: Any, now: Any) -> None:
        """Fill a sample with what happened between two readings."""
