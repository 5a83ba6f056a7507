"""Errors of the VMM; every message is one line."""

from __future__ import annotations


class VmmError(Exception):
    """Base of all errors of the VMM."""


class WorkloadError(VmmError):
    """The workload is invalid, or this architecture cannot run it."""


class GuestError(VmmError):
    """The guest did something that is not in its program."""


class StopError(VmmError):
    """The VMM was stopped by SIGTERM, ^C or the end of stdin."""


class HostError(VmmError):
    """KVM, a permission or the guest's binary is missing."""
