"""What the worker reads: a plan, as JSON. Standard library only.

Some classes mirror those of :mod:`kstats.loader.plan` and :mod:`kstats.arch.base`, which import
more than a worker needs. JSON has a named tuple as a list: the fields are in the same order.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Field(NamedTuple):
    """See :class:`kstats.arch.base.BtfField`."""

    define: str
    paths: list[str]
    optional: bool


class RecordField(NamedTuple):
    """See :class:`kstats.arch.base.RecordField`."""

    define: str
    field: str


class Probe(NamedTuple):
    """See :class:`kstats.arch.base.Probe`."""

    name: str
    attach: str
    define: str
    args: int | None
    btf: list[Field]
    direct: bool
    record: list[RecordField]

    @classmethod
    def read(cls, data: list[Any]) -> Probe:
        """Return the probe that JSON holds."""
        probe = cls(*data)
        return probe._replace(
            btf=[Field(*field) for field in probe.btf],
            record=[RecordField(*field) for field in probe.record],
        )


class Attachment(NamedTuple):
    """A C function and the tracepoint that runs it.

    Attributes:
        tracepoint: A classic one is in the group ``kvm``. Empty for a function that is loaded only:
            the reader runs it.
        function: The function's name.
        attach: ``raw``, ``classic``, or empty for the way of the chosen probe.
        at_least: If set, the attachment is optional: it is left out where the kernel has no such
            tracepoint, or one with fewer arguments.
        args: The preprocessor name that gets the number of the tracepoint's arguments, if any.
    """

    tracepoint: str
    function: str
    attach: str = ""
    at_least: int | None = None
    args: str = ""


class MapSize(NamedTuple):
    """A BPF map of a program.

    Attributes:
        name: As in the C.
        entries: The most entries; the bytes of a ring buffer.
        value_size: The bytes of a value, if the C leaves that to the loader, else 0.
        by_address: Whether the program uses the address of the map's only value.
    """

    name: str
    entries: int = 1
    value_size: int = 0
    by_address: bool = False


class Prebuilt(NamedTuple):
    """A prebuilt object.

    Attributes:
        data: The compressed object, in base 64.
        words: The names of the numbers that it has placeholders for.
        record: Those of them that are fields of the classic record.
    """

    data: str
    words: list[str]
    record: list[str]


class Plan(NamedTuple):
    """See :class:`kstats.loader.plan.Plan`.

    ``text`` is what bcc compiles, and ``objects`` are the prebuilt objects by the names of their
    probes. A worker gets one of the two.
    """

    defines: dict[str, int]
    numbers: dict[str, int]
    probes: list[Probe]
    btf_modules: list[str]
    attachments: list[Attachment]
    maps: list[MapSize]
    btf: list[Field]
    pids: list[int]
    tids: list[int]
    attach: bool
    text: str
    objects: dict[str, Prebuilt]

    @classmethod
    def read(cls, data: dict[str, Any]) -> Plan:
        """Return the plan that JSON holds."""
        typed = {
            "probes": [Probe.read(probe) for probe in data["probes"]],
            "attachments": [Attachment(*attachment) for attachment in data["attachments"]],
            "maps": [MapSize(*one) for one in data["maps"]],
            "btf": [Field(*field) for field in data["btf"]],
            "objects": {name: Prebuilt(**one) for name, one in data["objects"].items()},
        }
        return cls(**{**data, **typed})
