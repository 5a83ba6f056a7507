"""What measuring costs: instructions that kstats adds to an exit and the following entry.

``make bench`` measures them in emulated hosts that count instructions; the table in the README
has the same numbers. Without any tool an exit that KVM handles takes :data:`EXIT` of them.
"""

from __future__ import annotations

from collections.abc import Mapping

HOSTS = ("AMD, Linux 6.1", "AMD, Linux 6.12", "ARM64, Linux 6.1")

EXIT = "2,300 to 2,500 instructions (ARM64: 1,500)"

ADDED: Mapping[str, tuple[int, int, int]] = {
    "kstats cpu": (350, 221, 266),
    "kstats exits": (305, 168, 184),
    "kstats vcpu": (473, 311, 184),
    "kstats exits --time": (882, 720, 860),
    "kstats exits --latency": (1106, 909, 1071),
}
"""Instructions by command, on each of :data:`HOSTS`."""


def range_of(command: str) -> str:
    """Return the least and the most instructions of a command: ``909 to 1,106 instructions``."""
    return f"{min(ADDED[command]):,} to {max(ADDED[command]):,} instructions"
