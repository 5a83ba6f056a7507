"""CPU quotas of cgroups, version 2. Version 1 is not read; its quotas are unknown."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from kstats.host import Host

_ROOT = "sys/fs/cgroup"
_DEEPEST = 32


@attrs.frozen
class Quota:
    """The tightest quota of a cgroup and those above it.

    Attributes:
        path: The cgroup that has it.
        share: Thousandths of a CPU.
    """

    path: str
    share: int


class Cgroups:
    """Reads quotas and what they cost; see Documentation/admin-guide/cgroup-v2.rst."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def quota(self, membership: str) -> Quota | None:
        """Return the quota of a process or thread from its ``/proc/…/cgroup``; None without one."""
        found = re.search(r"^0::(/.*)$", membership, re.MULTILINE)
        quotas = filter(None, map(self._own_quota, _upwards(found[1]))) if found else ()
        return min(quotas, key=lambda quota: quota.share, default=None)

    def throttled(self, path: str) -> int | None:
        """Return the nanoseconds for which a cgroup was held back, added over CPUs."""
        stat = self._host.read(f"{_ROOT}{path}/cpu.stat") or ""
        found = re.search(r"^throttled_usec (\d{1,15})$", stat, re.MULTILINE)
        return int(found[1]) * 1000 if found else None

    def _own_quota(self, path: str) -> Quota | None:
        limit = self._host.read(f"{_ROOT}{path}/cpu.max") or ""
        found = re.fullmatch(r"(\d{1,15}) (\d{1,9})", limit)  # "max 100000" is no limit
        if not found or not int(found[2]):
            return None
        return Quota(path, 1000 * int(found[1]) // int(found[2]))


def _upwards(path: str) -> Iterator[str]:
    """Yield a cgroup and those above it; none that is outside of our cgroup namespace."""
    parts = path.strip("/").split("/")
    if ".." not in parts:
        for depth in range(min(len(parts), _DEEPEST), 0, -1):
            yield "/" + "/".join(parts[:depth])
