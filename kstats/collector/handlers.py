"""Exits by who handled them, the kernel or the VMM: bpf/handlers.c."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

from kstats.collector.draft import Draft
from kstats.collector.feature import Feature, Phase
from kstats.collector.layout import Layout
from kstats.collector.reclaim import HashReader
from kstats.collector.shares import Hash, Shares
from kstats.collector.threads import MORE_THREADS
from kstats.loader.plan import Attachment, MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import U64, Record
from kstats.model import Place

UNHANDLED = 16384
"""Threads with an exit of which it is not yet known who handles it."""

_WITHOUT_DETAIL = 2**64 - 2

Totals: TypeAlias = Mapping[bytes, int]
"""Running totals by struct handled_key, as the kernel stores it."""


class HandledKey(Record):
    """The key of handled."""

    c_name = "handled_key"
    _fields_ = (
        ("thread", U64),
        ("code", U64),
        ("cpu", U64),
        ("detail", U64),
        ("handler", U64),
    )


_HANDLED_KEY = HandledKey.unpacker()


@attrs.frozen(eq=False)
class Handlers(Feature):
    """Exits by handler. It needs exits by thread, and counts them in their place.

    Attributes:
        entries: Entries of the table. An exit that does not fit is counted without its handler,
            and without its detail.
    """

    entries: int = MORE_THREADS

    phase = Phase.COUNTS
    files = ("handlers.c",)
    attachments = (Attachment("kvm_userspace_exit", "on_return", "raw"),)
    counted = ("handlers",)
    defines: Mapping[str, int] = {"KSTATS_HANDLERS": 1}

    @property
    def maps(self) -> tuple[MapSize, ...]:
        return (MapSize("unhandled", UNHANDLED), MapSize("handled", self.entries))

    @property
    def numbers(self) -> Mapping[str, int]:
        return {"KSTATS_HANDLED_SIZE": self.entries}

    def reader(self, loaded: Loaded, layout: Layout) -> Callable[[], Totals]:
        del layout
        return HashReader(loaded.maps["handled"], Hash.HANDLED, Shares(loaded)).read

    def fill(self, draft: Draft, before: Totals, now: Totals) -> None:
        """Fill exits by handler. Exits whose handler was dropped are counted by thread."""
        draft.fields["handled"] = True
        for key, value in now.items():
            if more := value - before.get(key, 0):
                thread, code, cpu, detail, handler = _HANDLED_KEY.unpack(key)
                carried = None if detail == _WITHOUT_DETAIL else detail
                draft.count(code, Place(cpu, thread, carried, handler), more)
