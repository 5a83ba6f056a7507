"""What measuring costs: instructions that kstats adds to an exit and the following entry.

``make bench`` measures them in emulated hosts that count instructions; the table in the README
has the same numbers. Without any tool an exit that KVM handles takes some 2,500 of them, and 1,500
on ARM64.

:data:`ADDED` has the instructions by command, on each of :data:`HOSTS`.
"""

from __future__ import annotations

from collections.abc import Mapping

# Written by tools/gen_costs.py from bench/recorded.json; not for editing.

HOSTS = ("AMD, Linux 6.1", "AMD, Linux 6.12", "ARM64, Linux 6.1")

ADDED: Mapping[str, tuple[int, int, int]] = {
    "kstats cpu": (350, 221, 266),
    "kstats exits": (305, 168, 184),
    "kstats vcpu": (473, 311, 184),
    "kstats exits --time": (882, 720, 860),
    "kstats exits --latency": (1106, 909, 1071),
}

# End of what tools/gen_costs.py has written.


def range_of(command: str) -> str:
    """Return the least and the most instructions of a command: ``909 to 1,106 instructions``."""
    return f"{min(ADDED[command]):,} to {max(ADDED[command]):,} instructions"
