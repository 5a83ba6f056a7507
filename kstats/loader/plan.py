"""Plans: what to load, as values."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kstats.arch.base import BtfField, ObjectFolder, Probe
from kstats.loader.wire import Attachment, MapSize

__all__ = ["Attachment", "MapSize", "Plan", "Source"]


@attrs.frozen
class Source:
    """What a prebuilt object is compiled from: C text and definitions."""

    text: str
    defines: Mapping[str, int]


@attrs.frozen(eq=False)
class Plan:
    """What to load.

    Attributes:
        text: The C text, without a loader's header.
        defines: Its preprocessor definitions, by which prebuilt objects differ.
        probes: Ways to read exits, tried in turn.
        btf_modules: Kernel modules with the types of ``btf``: the first that is loaded is used.
        attachments: Functions and their tracepoints, in the order in which they are attached.
        maps: The maps, all of which are returned.
        numbers: Further definitions, which the loader puts into prebuilt objects.
        btf: Offsets that are needed with every probe.
        pids: The processes to count, ascending; empty for all.
        tids: The threads to count, ascending; empty for all.
        attach: If false, everything is loaded and verified, and nothing runs.
        objects: The folder of prebuilt objects; None if the architecture ships none.
        prebuilt: What their C is, if it contains more functions than the plan has attachments.
    """

    text: str
    defines: Mapping[str, int]
    probes: tuple[Probe, ...]
    btf_modules: tuple[str, ...]
    attachments: tuple[Attachment, ...]
    maps: tuple[MapSize, ...]
    numbers: Mapping[str, int] = attrs.field(factory=dict)
    btf: tuple[BtfField, ...] = ()
    pids: tuple[int, ...] = ()
    tids: tuple[int, ...] = ()
    attach: bool = True
    objects: ObjectFolder | None = None
    prebuilt: Source | None = None

    @property
    def compiled(self) -> Source:
        """Return what a prebuilt object of this program is compiled from."""
        return self.prebuilt or Source(self.text, self.defines)
