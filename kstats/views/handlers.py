"""The axis ``handler``: who handled exits, the kernel or the VMM, and why the VMM had to."""

from __future__ import annotations

import errno
import functools

from kstats.model import Sample

AXIS = "handler"
KERNEL = "kernel"
"""The cell of exits after which the guest was entered again without a return to the VMM."""

UNKNOWN = "?"
"""The cell of exits with a dropped handler, or without one in the sample."""

_BITS = 32
_KERNEL, _VMM, _FAILED = range(3)
"""What the high half of a handler's number says about the low half (bpf/handlers.c)."""


@functools.cache
def text(handler: int | None) -> str:
    """Return the cell of a handler: ``kernel``, or why KVM_RUN returned, such as ``MMIO``.

    A return with an error has the error's name, but for EINTR that of the reason that belongs to
    it. A reason without a name keeps its number.
    """
    from kstats.explain import userspace  # noqa: PLC0415 - few views need it

    if handler is None:
        return UNKNOWN
    kind, number = handler >> _BITS, handler & (1 << _BITS) - 1
    if kind == _VMM:
        return userspace.EXITS[number][0] if number in userspace.EXITS else f"KVM_EXIT_{number}"
    if kind == _FAILED:
        return "INTR" if number == errno.EINTR else errno.errorcode.get(number, f"errno {number}")
    return KERNEL if handler == _KERNEL else UNKNOWN


def losses(sample: Sample) -> dict[str, int]:
    """Return the count of dropped handlers, for a view by handler."""
    if not sample.handled:  # not measured: notes() says so
        return {"handler_dropped": 0}
    places = (at.items() for at in sample.exits.values())
    dropped = (exits.count for at in places for place, exits in at if place.handler is None)
    return {"handler_dropped": sum(dropped)}


def notes(sample: Sample) -> tuple[str, ...]:
    """Return a note if the sample does not contain handlers."""
    if sample.handled:
        return ()
    return ("this sample was taken without the axis handler: the handlers are unknown",)
