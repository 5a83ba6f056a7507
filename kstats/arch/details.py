"""What more some exits tell: which register, which port, which address.

A detail is one 64-bit number, so that the kernel can count by it and a recording keep it
(``DETAIL`` in bpf/kstats.h): in its low 56 bits the number of what was accessed, above that the
bytes of the access (6 bits; 0 where they are not told), in its two highest bits the
:class:`Access`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kstats.arch.base import Probe

UNTOLD = (1 << 64) - 1
"""The detail of an exit that should have one, but it could not be read."""

NUMBER_BITS, SIZE_BITS = 56, 6


class Access(enum.IntEnum):
    """What the guest did, where a kind of detail knows."""

    NONE = 0
    READ = 1
    WRITE = 2
    FETCH = 3


@attrs.frozen
class Parts:
    """A detail taken apart; ``size`` in bytes, 0 if it is not told."""

    access: Access
    size: int
    number: int

    @classmethod
    def of(cls, detail: int) -> Parts:
        """The parts of a detail as the kernel counts it."""
        size = detail >> NUMBER_BITS & (1 << SIZE_BITS) - 1
        return cls(Access(detail >> 62), size, detail & (1 << NUMBER_BITS) - 1)

    @property
    def detail(self) -> int:
        """The detail that these are the parts of."""
        return self.access << 62 | self.size << NUMBER_BITS | self.number


_WORDS: Mapping[Access, str] = {
    Access.READ: "read",
    Access.WRITE: "write",
    Access.FETCH: "fetch",
}


@attrs.frozen(eq=False)
class Detail:
    """One kind of detail that exits of some codes have.

    ``names`` are what people call the numbers, ``number`` writes one down, and ``words`` say
    what the guest did.
    """

    name: str
    meaning: str
    codes: frozenset[int]
    names: Mapping[int, str] = attrs.field(factory=dict)
    number: Callable[[int], str] = hex
    words: Mapping[Access, str] = _WORDS

    def text(self, detail: int) -> str:
        """A detail for people: ``write MSR_IA32_TSC_DEADLINE(0x6e0)``, ``out 0x3f8/1``."""
        parts = Parts.of(detail)
        text = self.number(parts.number)
        if name := self.names.get(parts.number):
            text = f"{name}({text})"
        if parts.size:
            text += f"/{parts.size}"
        word = self.words.get(parts.access)
        return f"{word} {text}" if word else text


@attrs.frozen
class DetailEvent:
    """A tracepoint that tells details while KVM handles an exit, and the function for it.

    ``args`` is the preprocessor name that gets the number of its arguments, if that differs
    between kernels.
    """

    tracepoint: str
    function: str
    args: str = ""


@attrs.frozen
class DetailSource:
    """How the running kernel tells a kind of detail (the ISA's of that ``name``).

    ``defines`` select it in the C file, ``probes`` are the ways to see exits that also tell
    details, best first. With ``events`` the kernel tells them later than the exit.
    """

    name: str
    defines: tuple[str, ...]
    probes: tuple[Probe, ...]
    events: tuple[DetailEvent, ...] = ()
