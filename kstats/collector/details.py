"""What more exits tell, counted in place of them: bpf/detail.c and how to read it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import ClassVar, Self

import attrs

from kstats.arch.base import DetailSource, ExitSource, Probe
from kstats.collector import percpu, threads
from kstats.errors import BackendError, UsageError
from kstats.loader import c_text
from kstats.loader.program import Attachment, Loaded
from kstats.model import Code, Exits, Place, Sample, untimed

PENDING_EXITS = 16384
"""Room for exits whose detail the kernel has yet to tell: one of each thread at most."""

_KEY = struct.Struct("=QQQQ")
_COUNT = struct.Struct("=Q")

_Counts = Mapping[tuple[int, int, int, int], int]
"""Running totals by (thread, code, cpu, detail)."""


def find(source: ExitSource, probes: Sequence[Probe], kind: str) -> DetailSource:
    """How ``source`` tells details of that kind, through probes of the names of ``probes``.

    Raises:
        UsageError: it does not tell them, or not through these probes.
    """
    known = {detail.name: detail for detail in source.details}
    if kind not in known:
        told = ", ".join(known) or "nothing"
        raise UsageError(f"{source.isa} exits do not tell {kind!r}", f"they tell: {told}")
    names = {probe.name for probe in probes}
    found = tuple(probe for probe in known[kind].probes if probe.name in names)
    if not found:
        able = ", ".join(probe.name for probe in known[kind].probes)
        raise UsageError(
            f"exits do not tell {kind!r} through {', '.join(names)}", f"probes: {able}"
        )
    return attrs.evolve(known[kind], probes=found)


@attrs.frozen(eq=False)
class Snapshot:
    """Running totals: ``exits`` has those that found no room with their detail."""

    exits: threads.Snapshot
    details: _Counts


class Reader:
    """Takes snapshots: one system call more than of exits by thread."""

    def __init__(self, loaded: Loaded, exits: threads.PerThread) -> None:
        """The program must have been built for ``exits``."""
        self._exits = exits.reader(loaded)
        self._details = loaded.maps["details"]

    def snapshot(self) -> Snapshot:
        """The totals now."""
        details = {
            _KEY.unpack(key): _COUNT.unpack(value)[0] for key, value in self._details.items()
        }
        return Snapshot(self._exits.snapshot(), details)


@attrs.frozen(eq=False)
class PerThreadWithDetails:
    """Counts exits by thread and CPU, and some by what more they tell: what to load, how to read.

    ``source`` says how the kernel tells it, ``file`` is the architecture's C for that. There is
    room for as many details as there is for threads; an exit that finds none is counted without.
    """

    exits: threads.PerThread
    source: DetailSource
    file: Traversable | None
    btf: ClassVar = ()

    @property
    def detail(self) -> str:
        """The kind of detail that is counted."""
        return self.source.name

    @property
    def layout(self) -> percpu.Layout:
        """What exits are counted by beside that."""
        return self.exits.layout

    @property
    def wanted(self) -> threads.Filter:
        """The threads that are counted."""
        return self.exits.wanted

    def with_entries(self) -> Self:
        """The same, and entries."""
        return attrs.evolve(self, exits=self.exits.with_entries())

    @property
    def files(self) -> Sequence[str]:
        """The files of bpf/ after the architecture's."""
        return (
            self.exits.files[0],
            "detail.c",
            *(("pending_details.c",) if self.source.events else ()),
            *self.exits.files[1:],
        )

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps to read."""
        return (*self.exits.maps, "details")

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """A function for the exits, and one for each event that tells details."""
        events = (
            Attachment(event.tracepoint, event.function, "raw", args=event.args)
            for event in self.source.events
        )
        return (*self.exits.attachments, *events)

    @property
    def counted(self) -> tuple[str, ...]:
        """Which fields of its samples are counted, and whether by thread."""
        return (*self.exits.counted, f"{self.source.name} details")

    @property
    def generated(self) -> str:
        """The filter of threads, and the architecture's way to a detail."""
        if self.file is None:
            raise BackendError(f"no C file tells {self.source.name}", "it can only be decoded")
        return self.exits.generated + c_text.located(self.file)

    @property
    def defines(self) -> dict[str, int]:
        """The preprocessor definitions that the files need."""
        events = {"KSTATS_PENDING_DETAILS": PENDING_EXITS} if self.source.events else {}
        own = dict.fromkeys(self.source.defines, 1) | {"KSTATS_DETAILS": self.exits.more_threads}
        return self.exits.defines | own | events

    def reader(self, loaded: Loaded) -> Reader:
        """What takes the snapshots."""
        return Reader(loaded, self.exits)

    def sample(self, before: Snapshot, now: Snapshot, online: tuple[int, ...]) -> Sample:
        """What was counted between two snapshots, whether with its detail or without."""
        sample = self.exits.sample(before.exits, now.exits, online)
        exits: dict[Code, dict[Place, Exits]] = {
            code: dict(at) for code, at in sample.exits.items()
        }
        for key, n in now.details.items():
            if not (more := n - before.details.get(key, 0)):
                continue
            thread, number, cpu, detail = key
            code = self.exits.layout.isa, number
            exits.setdefault(code, {})[Place(cpu, thread, detail)] = untimed(more)
        return attrs.evolve(sample, exits=exits, detail=self.source.name)
