"""Messages to the service manager: sd_notify(3)."""

from __future__ import annotations

import os
from contextlib import suppress

ALIVE = "WATCHDOG=1"

_LONGEST = 10**9
"""Seconds of the longest interval that the manager is asked to wait for."""


def ready(interval: float) -> None:
    """Report that the service works, and will send :data:`ALIVE` every ``interval`` seconds.

    If the manager waits for that at all, it waits for four intervals at least.
    """
    send("READY=1")
    if limit := os.environ.get("WATCHDOG_USEC"):
        send(f"WATCHDOG_USEC={max(int(limit), int(min(interval, _LONGEST) * 4e6))}")


def send(state: str) -> None:
    """Send ``state`` to the service manager that started this process, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    import socket  # noqa: PLC0415 - only services need it

    # An abstract address begins with NUL, which a variable cannot contain.
    path = "\0" + address[1:] if address.startswith("@") else address
    # As sd_notify(3) advises, a service does not fail because of its manager.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(state.encode(), path)
