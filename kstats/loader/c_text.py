"""The C text of a program, put together from bpf/ and what the architecture's data says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path

from kstats import csource
from kstats.arch.base import Arch, ExitSource, SlotRange
from kstats.errors import BackendError


def headers() -> Path:
    """The tree that bcc takes for kernel headers."""
    return csource.directory() / "headers"


def text(arch: Arch, source: ExitSource, layout: Sequence[str], generated: str = "") -> str:
    """The whole program: common part, architecture, slots, then the files of ``layout``.

    ``generated`` is C that the layout needs and that depends on what is asked for.
    """
    if arch.bpf is None:
        raise BackendError(f"backend {arch.name} has no C file", "it can only decode")
    return "".join(
        (
            located(csource.directory() / "kstats.h"),
            located(arch.bpf),
            f'#line 1 "slots of {source.isa}"\n{slot_function(source.slots)}{generated}',
            *(located(csource.directory() / name) for name in layout),
        )
    )


def slot_count(slots: Iterable[SlotRange]) -> int:
    """How many counters the slots take."""
    return sum(slot_range.count for slot_range in slots)


def slot_codes(slots: Iterable[SlotRange]) -> tuple[int, ...]:
    """The code that each slot counts, in slot order."""
    return tuple(code for r in slots for code in range(r.first, r.first + r.count))


def slot_function(slots: Sequence[SlotRange]) -> str:
    """C that maps a code to its slot, and every other code to KSTATS_SLOTS."""
    lines = ["static __always_inline u64 slot_of(u64 code)", "{"]
    base = 0
    for r in slots:
        lines += [
            f"\tif (code - {r.first:#x}ULL < {r.count})",
            f"\t\treturn {base} + (code - {r.first:#x}ULL);",
        ]
        base += r.count
    return "\n".join([*lines, "\treturn KSTATS_SLOTS;", "}", ""])


def located(file: Path | Traversable) -> str:
    """A file's text, so that what the compiler says of it names the file."""
    # The directory's name is enough to tell our files from a backend's in an error of clang.
    return f'#line 1 "bpf/{file.name}"\n{file.read_text(encoding="utf-8")}'
