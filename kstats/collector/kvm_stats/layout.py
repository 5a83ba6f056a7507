"""The format of KVM's binary statistics: a header, descriptors, values.

See KVM_GET_STATS_FD in Documentation/virt/kvm/api.rst, and ``struct kvm_stats_header`` and ``struct
kvm_stats_desc`` in include/uapi/linux/kvm.h, since Linux 5.14. Numbers are in the host's byte
order. The kernel describes its own statistics: their names differ by architecture and version.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import attrs

MAX_BYTES = 1 << 16
"""Bytes of a file to read at most. The largest known one, x86's of Linux 6.12, has 4 KiB."""

_HEADER = struct.Struct("=6I")
_DESCRIPTOR = struct.Struct("=IhHII")
_VALUE = 8
_KIND, _CUMULATIVE = 0xF, 0  # KVM_STATS_TYPE_MASK, KVM_STATS_TYPE_CUMULATIVE
_NAME = re.compile(rb"[\w.:-]+")  # names become JSON keys and are printed


class _Header(NamedTuple):
    """struct kvm_stats_header."""

    flags: int
    name_size: int
    num_desc: int
    id_offset: int
    desc_offset: int
    data_offset: int


class FormatError(ValueError):
    """Invalid KVM statistics; the text says what is wrong."""


@attrs.frozen
class Stat:
    """One statistic as the kernel describes it.

    Attributes:
        name: The kernel's name.
        kind: How its values change: one of KVM_STATS_TYPE_*, which later kernels may add to.
        size: How many 64-bit values it has.
        offset: Offset of the first value in the data, in bytes.
    """

    name: str
    kind: int
    size: int
    offset: int

    @property
    def is_counter(self) -> bool:
        """Whether this is a single number that only grows, so that differences are meaningful."""
        return self.kind == _CUMULATIVE and self.size == 1


@attrs.frozen(eq=False)
class Layout:
    """The statistics in a file, and where its data begin."""

    stats: tuple[Stat, ...]
    data_offset: int
    _names: tuple[str, ...]
    _values: struct.Struct

    @property
    def size(self) -> int:
        """How many bytes of data to read: up to the end of the last counter."""
        return self._values.size

    def counters(self, data: bytes) -> dict[str, int]:
        """Return the counters in ``data``, read at ``data_offset``, by the kernel's names.

        Statistics of other kinds are left out.

        Raises:
            FormatError: ``data`` is shorter than ``size``.
        """
        return dict(zip(self._names, _unpack(self._values, data, 0), strict=True))


def parse(blob: bytes) -> Layout:
    """Return the layout of a file, given its header, descriptors and data.

    Raises:
        FormatError: one of these lies beyond the end of ``blob``, or they contradict each other.
    """
    header = _Header(*_unpack(_HEADER, blob, 0))
    end = header.desc_offset + header.num_desc * (_DESCRIPTOR.size + header.name_size)
    if end > len(blob):
        raise FormatError(f"truncated: {header.num_desc} descriptors end at byte {end}")
    layout = _layout(header, blob[header.desc_offset : end])
    if header.data_offset + layout.size > len(blob):
        raise FormatError("truncated values")
    return layout


@lru_cache(maxsize=4)  # all vCPUs of a running kernel have the same
def _layout(header: _Header, descriptors: bytes) -> Layout:
    stats = tuple(_stats(descriptors, header.name_size))
    counters = sorted((s for s in stats if s.is_counter), key=lambda stat: stat.offset)
    names = tuple(stat.name for stat in counters)
    return Layout(stats, header.data_offset, names, struct.Struct(_format(counters)))


def _stats(descriptors: bytes, name_size: int) -> Iterator[Stat]:
    for at in range(0, len(descriptors), _DESCRIPTOR.size + name_size):
        flags, _exponent, size, offset, _bucket_size = _unpack(_DESCRIPTOR, descriptors, at)
        name = at + _DESCRIPTOR.size
        yield Stat(_text(descriptors[name : name + name_size]), flags & _KIND, size, offset)


def _text(name: bytes) -> str:
    text, end, _ = name.partition(b"\0")
    if not end or not _NAME.fullmatch(text):
        raise FormatError(f"invalid name of a statistic: {text!r}")
    return text.decode("ascii")


def _format(counters: Sequence[Stat]) -> str:
    """Return a struct format of the counters, which are sorted by offset, and the gaps between."""
    parts, end = ["="], 0
    for stat in counters:
        gap = stat.offset - end
        if gap < 0 or stat.offset > MAX_BYTES:
            raise FormatError(f"invalid offset of {stat.name}: {stat.offset}")
        parts.append(f"{gap}xQ")
        end = stat.offset + _VALUE
    return "".join(parts)


def _unpack(layout: struct.Struct, blob: bytes, offset: int) -> tuple[int, ...]:
    try:
        return layout.unpack_from(blob, offset)
    except struct.error:
        raise FormatError(f"truncated: no {layout.size} bytes at {offset}") from None
