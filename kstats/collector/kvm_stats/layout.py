"""The format of KVM's binary statistics: a header, descriptors, values.

Documentation/virt/kvm/api.rst (KVM_GET_STATS_FD); ``struct kvm_stats_header`` and ``struct
kvm_stats_desc`` of include/uapi/linux/kvm.h, since Linux 5.14. Numbers are in the host's byte
order. The kernel describes its counters itself: their names differ by architecture and version.
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import attrs

MOST = 1 << 16
"""Bytes of a file that are looked at. The largest one seen, x86's of Linux 6.12, has 4 KiB."""

_HEADER = struct.Struct("=6I")
_DESCRIPTOR = struct.Struct("=IhHII")
_VALUE = 8
_FIELD = 0xF
_UNIT_SHIFT, _BASE_SHIFT = 4, 8
_BASES = {0: 10, 1: 2}
_NAME = re.compile(rb"[\w.:-]+")  # it becomes a key of JSON and a word on the screen


class _Header(NamedTuple):
    """struct kvm_stats_header."""

    flags: int
    name_size: int
    num_desc: int
    id_offset: int
    desc_offset: int
    data_offset: int


class FormatError(ValueError):
    """The bytes are no statistics of KVM; the text says what is wrong with them."""


class Kind(enum.IntEnum):
    """How a value behaves over time. Kinds that later kernels add are ``UNKNOWN``."""

    CUMULATIVE = 0
    INSTANT = 1
    PEAK = 2
    LINEAR_HISTOGRAM = 3
    LOG_HISTOGRAM = 4
    UNKNOWN = -1

    @classmethod
    def _missing_(cls, _value: object) -> Self:
        return cls(cls.UNKNOWN)


class Unit(enum.IntEnum):
    """What a value counts, before it is scaled. Units that later kernels add are ``UNKNOWN``."""

    NONE = 0
    BYTES = 1
    SECONDS = 2
    CYCLES = 3
    BOOLEAN = 4
    UNKNOWN = -1

    @classmethod
    def _missing_(cls, _value: object) -> Self:
        return cls(cls.UNKNOWN)


@attrs.frozen
class Stat:
    """One statistic as the kernel describes it.

    A value is in ``unit`` times ``base`` to the power of ``exponent``: 2, -9 and seconds with
    base 10 are two nanoseconds. ``base`` is 0 where the kernel names one that is not known here.
    ``size`` is the number of 64-bit values, ``offset`` that of their first byte in the data.
    """

    name: str
    kind: Kind
    unit: Unit
    base: int
    exponent: int
    size: int
    offset: int
    bucket_size: int = 0

    @property
    def is_counter(self) -> bool:
        """Whether it is one number that only grows, so that differences mean something."""
        return self.kind is Kind.CUMULATIVE and self.size == 1


@attrs.frozen(eq=False)
class Layout:
    """What a statistics file holds and where. ``size`` is how many bytes of data to read."""

    stats: tuple[Stat, ...]
    data_offset: int
    _names: tuple[str, ...]
    _values: struct.Struct

    @property
    def size(self) -> int:
        """Bytes of data up to the end of the last counter."""
        return self._values.size

    def counters(self, data: bytes) -> dict[str, int]:
        """The counters by the kernel's names; other kinds of statistics are left out.

        ``data`` is what lies at ``data_offset``. Raises FormatError if it is too short.
        """
        return dict(zip(self._names, _unpack(self._values, data, 0), strict=True))


def parse(blob: bytes) -> Layout:
    """The layout of a file from its start: header, descriptors and the data they speak of.

    Raises:
        FormatError: one of these lies beyond the end of ``blob``, or they contradict each other.
    """
    header = _Header(*_unpack(_HEADER, blob, 0))
    end = header.desc_offset + header.num_desc * (_DESCRIPTOR.size + header.name_size)
    if end > len(blob):
        raise FormatError(f"{header.num_desc} descriptors lie beyond the end")
    layout = _layout(header, blob[header.desc_offset : end])
    if header.data_offset + layout.size > len(blob):
        raise FormatError("the values lie beyond the end")
    return layout


@lru_cache(maxsize=4)  # a running kernel has one for all vCPUs
def _layout(header: _Header, descriptors: bytes) -> Layout:
    stats = tuple(_stats(descriptors, header.name_size))
    counters = sorted((s for s in stats if s.is_counter), key=lambda stat: stat.offset)
    names = tuple(stat.name for stat in counters)
    return Layout(stats, header.data_offset, names, struct.Struct(_format(counters)))


def _stats(descriptors: bytes, name_size: int) -> Iterator[Stat]:
    for at in range(0, len(descriptors), _DESCRIPTOR.size + name_size):
        flags, exponent, size, offset, bucket_size = _unpack(_DESCRIPTOR, descriptors, at)
        name = at + _DESCRIPTOR.size
        yield Stat(
            name=_text(descriptors[name : name + name_size]),
            kind=Kind(flags & _FIELD),
            unit=Unit(flags >> _UNIT_SHIFT & _FIELD),
            base=_BASES.get(flags >> _BASE_SHIFT & _FIELD, 0),
            exponent=exponent,
            size=size,
            offset=offset,
            bucket_size=bucket_size,
        )


def _text(name: bytes) -> str:
    text, end, _ = name.partition(b"\0")
    if not end or not _NAME.fullmatch(text):
        raise FormatError(f"{text!r} is no name of a statistic")
    return text.decode("ascii")


def _format(counters: Sequence[Stat]) -> str:
    """Counters by offset as the struct module wants them: values, and gaps to skip."""
    parts, end = ["="], 0
    for stat in counters:
        gap = stat.offset - end
        if gap < 0 or stat.offset > MOST:
            raise FormatError(f"{stat.name} lies at {stat.offset}, where it cannot")
        parts.append(f"{gap}xQ")
        end = stat.offset + _VALUE
    return "".join(parts)


def _unpack(layout: struct.Struct, blob: bytes, offset: int) -> tuple[int, ...]:
    try:
        return layout.unpack_from(blob, offset)
    except struct.error:
        raise FormatError(f"{layout.size} bytes at {offset} lie beyond the end") from None
