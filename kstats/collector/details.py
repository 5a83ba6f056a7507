"""Exits by one kind of detail: bpf/detail.c and pending_details.c."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeAlias

import attrs

from kstats.arch.base import CFile, DetailSource, ExitSource, Probe
from kstats.collector.draft import Draft
from kstats.collector.feature import Feature, Phase
from kstats.collector.layout import Layout
from kstats.collector.reclaim import HashReader
from kstats.collector.shares import Hash, Shares
from kstats.collector.target import Target
from kstats.collector.threads import MORE_THREADS
from kstats.errors import BackendError, UsageError
from kstats.loader import c_text
from kstats.loader.plan import Attachment, MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import U64, Record
from kstats.model import Place

PENDING_EXITS = 16384
"""Entries for exits whose detail the kernel has not reported yet: at most one for each thread."""

Totals: TypeAlias = Mapping[bytes, int]
"""Running totals by struct detail_key, as the kernel stores it."""


class DetailKey(Record):
    """The key of details."""

    c_name = "detail_key"
    _fields_ = (("thread", U64), ("code", U64), ("cpu", U64), ("detail", U64))


_DETAIL_KEY = DetailKey.unpacker()


def find(source: ExitSource, probes: Sequence[Probe], kind: str) -> DetailSource:
    """Return how ``source`` reads details of that kind, with those of ``probes`` that can.

    Raises:
        UsageError: the source does not provide them, or not with these probes.
    """
    known = {detail.name: detail for detail in source.details}
    if kind not in known:
        provided = ", ".join(known) or "none"
        raise UsageError(f"{source.isa} exits have no detail {kind!r}", f"details: {provided}")
    names = {probe.name for probe in probes}
    found = tuple(probe for probe in known[kind].probes if probe.name in names)
    if not found:
        able = ", ".join(probe.name for probe in known[kind].probes)
        tried = ", ".join(names)
        raise UsageError(f"probe {tried} cannot read the detail {kind!r}", f"probes: {able}")
    return known[kind]._replace(probes=found)


@attrs.frozen(eq=False)
class Detail(Feature):
    """Exits by one kind of detail, as far as they carry it. It needs exits by thread.

    Attributes:
        source: How the kernel provides the detail.
        file: The architecture's C file for details.
        entries: Entries of the details table. An exit that does not fit is counted without its
            detail.
    """

    source: DetailSource
    file: CFile
    entries: int = MORE_THREADS

    phase = Phase.COUNTS

    @classmethod
    def find(cls, target: Target, kind: str, entries: int = MORE_THREADS) -> Self:
        """Return the feature for a kind of detail.

        Raises:
            UsageError: The target's exits do not carry it, or its probes cannot read it.
            BackendError: The architecture has no C file for it.
        """
        source = find(target.source, target.probes, kind)
        file = target.arch.bpf_detail
        if file is None:
            error = f"backend {target.arch.name} has no C file for {kind}"
            raise BackendError(error, "it can only decode")
        return cls(source, file, entries)

    @property
    def files(self) -> tuple[str, ...]:
        return ("detail.c", *(("pending_details.c",) if self.source.events else ()))

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """One function for each tracepoint that reports details later."""
        return tuple(
            Attachment(event.tracepoint, event.function, "raw", args=event.args)
            for event in self.source.events
        )

    @property
    def counted(self) -> tuple[str, ...]:
        return (f"{self.source.name} details",)

    def probes(self, probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
        names = {probe.name for probe in probes}
        return tuple(probe for probe in self.source.probes if probe.name in names)

    @property
    def generated(self) -> str:
        return c_text.located(self.file)

    @property
    def maps(self) -> tuple[MapSize, ...]:
        pending = (MapSize("pending_exits", PENDING_EXITS),) if self.source.events else ()
        return (MapSize("details", self.entries), *pending)

    @property
    def numbers(self) -> Mapping[str, int]:
        return {"KSTATS_DETAILS_SIZE": self.entries}

    @property
    def defines(self) -> Mapping[str, int]:
        pending = ("KSTATS_PENDING_DETAILS",) if self.source.events else ()
        return dict.fromkeys((*self.source.defines, "KSTATS_DETAILS", *pending), 1)

    def reader(self, loaded: Loaded, layout: Layout) -> Callable[[], Totals]:
        del layout
        return HashReader(loaded.maps["details"], Hash.DETAILS, Shares(loaded)).read

    def fill(self, draft: Draft, before: Totals, now: Totals) -> None:
        """Fill exits by detail. Exits whose detail was dropped are counted by thread."""
        draft.fields["detail"] = self.source.name
        for key, value in now.items():
            if more := value - before.get(key, 0):
                thread, code, cpu, detail = _DETAIL_KEY.unpack(key)
                draft.count(code, Place(cpu, thread, detail), more)
