"""What can go wrong; every message is one line, for the command line to print."""

from __future__ import annotations


class VmmError(Exception):
    """The VMM cannot do what was asked."""


class WorkloadError(VmmError):
    """The workload is malformed or this architecture cannot run it."""


class GuestError(VmmError):
    """The guest did something that its program does not contain."""


class StopError(VmmError):
    """Somebody wants an end: SIGTERM, ^C, the end of stdin."""


class HostError(VmmError):
    """This machine lacks something: KVM, a permission, the guest's binary, an assembler."""
