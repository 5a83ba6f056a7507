"""The guest's binary, and the programs that it runs."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from .errors import HostError, WorkloadError
from .kinds import KINDS
from .layout import Window
from .workload import Workload, halves

FOLDER: Final = Path(__file__).parent / "guests"
_SYMBOL: Final = struct.Struct("<12sI")
_ENTRY: Final = struct.Struct("<QQQ")
_HEADER: Final = struct.Struct("<QQQ")
PROGRAM_SIZE: Final = 2048  # the rest of the page has descriptors and the stack


class Ring(IntEnum):
    """Values that a guest writes to its doorbell, to signal the VMM."""

    HERE = 1  # started
    HALF = 2  # move me to another CPU
    LAP = 3  # program done, about to repeat it
    IRQ = 4  # inject an interrupt
    WINDOW = 5  # inject an interrupt as soon as I accept one


@dataclass(frozen=True)
class Binary:
    """The code of a guest, and the offsets of its handlers."""

    code: bytes
    symbols: Mapping[str, int]


def load(machine: str, folder: Path = FOLDER) -> Binary:
    """Read ``x64.bin`` or ``arm64.bin``, which `build.build` makes."""
    path = folder / f"{machine}.bin"
    try:
        code = path.read_bytes()
    except OSError as error:
        raise HostError(
            f"no guest: {path}: {error.strerror} (make it with python3 build.py)"
        ) from None
    return Binary(code, dict(_symbols(code)))


def _symbols(code: bytes) -> Iterable[tuple[str, int]]:
    for name, offset in _SYMBOL.iter_unpack(code[: len(code) // 16 * 16]):
        if not offset:
            return
        yield name.rstrip(b"\0").decode(), offset


@dataclass(frozen=True)
class Program:
    """The program of a vCPU: (handler, count, argument) in order."""

    entries: tuple[tuple[str, int, int], ...]

    def block(self, binary: Binary, window: Window) -> bytes:
        """Return the parameter block for the vCPU at `window`."""
        if len(self.entries) * _ENTRY.size > PROGRAM_SIZE - _HEADER.size:
            raise WorkloadError(f"a program of {len(self.entries)} steps is too long")
        out = bytearray(_HEADER.pack(window.heap, window.calls, window.device))
        for handler, count, arg in self.entries:
            out += _ENTRY.pack(window.code + binary.symbols[handler], count, arg)
        return bytes(out)


def program(workload: Workload, isa: str, *, moves: bool = False) -> Program:
    """Put a workload between the rings that the VMM waits for; the program loops."""
    parts = halves(workload) if moves else (workload,)
    entries = [_ring(Ring.HERE)]
    for number, part in enumerate(parts):
        entries += [_ring(Ring.HALF)] if number else []
        entries += [(KINDS[step.kind].handler(isa), step.count, step.arg) for step in part]
    return Program((*entries, _ring(Ring.LAP), ("start", 1, 0)))


def _ring(ring: Ring) -> tuple[str, int, int]:
    return ("bell", 1, int(ring))
