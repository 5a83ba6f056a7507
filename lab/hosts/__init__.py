"""Emulated hosts: real KVM hosts on emulated hardware, for running kstats in.

    from lab.hosts import boot, find

    with boot(find("svm"), payload=Path("dist/payload")) as host:
        result = host.run(["kstats", "-v", "1", "3"], timeout=60)
        assert result.status == 0, result.stderr

Distribution kernels and packages are put into images once and kept (`images`, `cache`); an emulator
boots them (`machines`); an agent inside answers over a channel of its own (`guest`, `channel`). A
command that fails is a result, one that takes too long raises `CommandTimeout`, and a host that is
gone raises `HostLost`, with the end of its console log: so a lost host is never taken for a failed
test. `python -m lab.hosts` does the same by hand.
"""

from lab.hosts.boot import boot
from lab.hosts.command import Command, Result
from lab.hosts.errors import (
    BuildFailed,
    CommandFailed,
    CommandTimeout,
    HostError,
    HostLost,
    MissingPackages,
    RequestFailed,
    UnknownHost,
)
from lab.hosts.host import Host
from lab.hosts.recipes import RECIPES, Kernel, Recipe, Userland, find

__all__ = [
    "RECIPES",
    "BuildFailed",
    "Command",
    "CommandFailed",
    "CommandTimeout",
    "Host",
    "HostError",
    "HostLost",
    "Kernel",
    "MissingPackages",
    "Recipe",
    "RequestFailed",
    "Result",
    "UnknownHost",
    "Userland",
    "boot",
    "find",
]
