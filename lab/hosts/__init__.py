"""Emulated hosts: real KVM hosts on emulated hardware, to run kstats in.

    from lab.hosts import boot, find

    with boot(find("svm"), payload=Path("dist/payload")) as host:
        result = host.run(["kstats", "-v", "1", "3"], timeout=60)
        assert result.status == 0, result.stderr

Distribution kernels and packages are built into images once and cached (`images`, `cache`). An
emulator boots them (`machines`). An agent in the host answers over its own channel (`guest`,
`channel`). A command that fails is a result; one that takes too long raises `CommandTimeoutError`;
a host that crashes or hangs raises `HostLostError` with the end of its console log, so that a lost
host cannot be mistaken for a failed test. `python -m lab.hosts` does the same by hand.
"""

from lab.hosts.boot import boot
from lab.hosts.command import Command, Result
from lab.hosts.errors import (
    BuildError,
    CommandError,
    CommandTimeoutError,
    HostError,
    HostLostError,
    MissingPackagesError,
    RequestError,
    UnknownHostError,
)
from lab.hosts.host import Host
from lab.hosts.recipes import KERNELS, RECIPES, Kernel, Recipe, Userland, find

__all__ = [
    "KERNELS",
    "RECIPES",
    "BuildError",
    "Command",
    "CommandError",
    "CommandTimeoutError",
    "Host",
    "HostError",
    "HostLostError",
    "Kernel",
    "MissingPackagesError",
    "Recipe",
    "RequestError",
    "Result",
    "UnknownHostError",
    "Userland",
    "boot",
    "find",
]
