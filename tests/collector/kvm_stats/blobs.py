"""Statistics files as KVM provides them, and invalid ones."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import attrs

NAME_SIZE = 48
COUNTER, INSTANT, PEAK, LINEAR, LOG = range(5)
HISTOGRAM = 32


@attrs.frozen
class Made:
    """A statistic to put into a file; ``values`` are its data."""

    name: str
    values: Sequence[int] = (0,)
    kind: int = COUNTER
    unit: int = 0
    base: int = 0
    exponent: int = 0
    bucket_size: int = 0

    def descriptor(self, offset: int) -> bytes:
        """Return its struct kvm_stats_desc."""
        flags = self.kind | self.unit << 4 | self.base << 8
        fields = (flags, self.exponent, len(self.values), offset, self.bucket_size)
        return struct.pack(f"=IhHII{NAME_SIZE}s", *fields, self.name.encode())


def blob(*stats: Made, **header: int) -> bytes:
    """Return a file with these statistics; ``header`` overrides fields of its header.

    The fields are name_size, num_desc, id_offset, desc_offset and data_offset.
    """
    descriptors, data = b"", b""
    for stat in stats:
        descriptors += stat.descriptor(len(data))
        data += struct.pack(f"={len(stat.values)}Q", *stat.values)
    start = 24 + NAME_SIZE
    fields = {
        "flags": 0,
        "name_size": NAME_SIZE,
        "num_desc": len(stats),
        "id_offset": 24,
        "desc_offset": start,
        "data_offset": start + len(descriptors),
    } | header
    vcpu = b"kvm-4711/vcpu-0".ljust(NAME_SIZE, b"\0")
    return struct.pack("=6I", *fields.values()) + vcpu + descriptors + data


X64 = (
    Made("halt_wakeup", [3]),
    Made("halt_wait_ns", [5_000], unit=2, exponent=-9),
    Made("halt_wait_hist", range(HISTOGRAM), kind=LOG, unit=2, exponent=-9),
    Made("blocking", [1], kind=INSTANT, unit=4),
    Made("pf_fixed", [48]),
    Made("exits", [443]),
    Made("io_exits", [97]),
    Made("guest_mode", [1], kind=INSTANT, unit=4),
)
"""Some of the statistics of Linux 6.1 on x86."""

X64_COUNTERS = {
    "halt_wakeup": 3,
    "halt_wait_ns": 5000,
    "pf_fixed": 48,
    "exits": 443,
    "io_exits": 97,
}
