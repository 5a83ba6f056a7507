"""Details: which register, port or address an exit is about.

A detail is one 64-bit number, so that the kernel can count by it and a recording can keep it
(``DETAIL`` in bpf/kstats.h). The low 56 bits are the number of what was accessed; above it are the
size of the access in bytes (6 bits; 0 if unknown) and, in the two highest bits, the
:class:`Access`.
"""

import enum
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

UNKNOWN = (1 << 64) - 1
"""The detail of an exit that should have one, but it could not be read."""

NUMBER_BITS, SIZE_BITS = 56, 6


class Access(enum.IntEnum):
    """The guest's access; ``NONE`` if this kind of detail has none."""

    NONE = 0
    READ = 1
    WRITE = 2
    FETCH = 3


class Parts(NamedTuple):
    """The parts of a detail; ``size`` is in bytes, 0 if unknown."""

    access: Access
    size: int
    number: int

    @classmethod
    def of(cls, detail: int) -> Self:
        """Split a detail as the kernel counts it."""
        size = detail >> NUMBER_BITS & (1 << SIZE_BITS) - 1
        return cls(Access(detail >> 62), size, detail & (1 << NUMBER_BITS) - 1)

    @property
    def detail(self) -> int:
        """Join the parts."""
        return self.access << 62 | self.size << NUMBER_BITS | self.number


_WORDS: Mapping[Access, str] = {
    Access.READ: "read",
    Access.WRITE: "write",
    Access.FETCH: "fetch",
}


class Detail(NamedTuple):
    """One kind of detail, which the exits of some codes carry.

    Attributes:
        name: What ``kstats exits --detail`` takes.
        meaning: What the numbers are, one line.
        codes: The exit codes that carry it.
        names: Return the names of numbers. A function, so that a table of hundreds of names is
            imported only if a detail is printed.
        number: Format a number; hexadecimal by default.
        words: What to print for each access.
    """

    name: str
    meaning: str
    codes: frozenset[int]
    names: Callable[[], Mapping[int, str]] = dict
    number: Callable[[int], str] = hex
    words: Mapping[Access, str] = _WORDS

    def text(self, detail: int) -> str:
        """Format a detail: ``write MSR_IA32_TSC_DEADLINE(0x6e0)``, ``out 0x3f8/1``."""
        parts = Parts.of(detail)
        text = self.number(parts.number)
        if name := self.names().get(parts.number):
            text = f"{name}({text})"
        if parts.size:
            text += f"/{parts.size}"
        word = self.words.get(parts.access)
        return f"{word} {text}" if word else text
