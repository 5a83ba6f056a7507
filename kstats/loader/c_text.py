"""Assembles the C text of a program from bpf/ and from data of the architecture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kstats import csource
from kstats.arch.base import Arch, CFile, ExitSource, SlotRange
from kstats.errors import BackendError


def headers() -> str:
    """Return the path of the tree that replaces the kernel headers for bcc."""
    return f"{csource.directory()}/headers"


def text(
    arch: Arch, source: ExitSource, *, files: Iterable[str], generated: Iterable[str] = ()
) -> str:
    """Return the program: the declarations, the architecture, generated functions, ``files``.

    A loader's header is still missing: see :func:`for_bcc` and :func:`for_object`.

    Args:
        arch: The architecture.
        source: Its source of exits, for whose slots a function is generated.
        files: Names of files in bpf/.
        generated: C that depends on what is measured.

    Raises:
        BackendError: The architecture has no C file.
    """
    if arch.bpf is None:
        raise BackendError(f"backend {arch.name} has no C file", "it can only decode")
    return "".join(
        (
            located(csource.File("kstats.h")),
            located(arch.bpf),
            f'#line 1 "slots of {source.isa}"\n{slot_function(source.slots)}',
            *generated,
            *(located(csource.File(name)) for name in files),
        )
    )


def for_bcc(text: str, pids: Iterable[int], tids: Iterable[int]) -> str:
    """Return what bcc compiles: ``text`` for these processes and threads, or all if empty."""
    header = located(csource.File("bcc.h"))
    return "".join((header, text, is_wanted(pids, tids)))


def for_object(text: str) -> str:
    """Return what a prebuilt object is compiled from."""
    return located(csource.File("prebuilt.h")) + text


def is_wanted(pids: Iterable[int], tids: Iterable[int]) -> str:
    """Return the C function with which the kernel selects threads, by process and thread ID.

    Exits of other threads cost next to nothing.
    """
    tests = [_any_of("(u32)(thread >> 32)", pids), _any_of("(u32)thread", tids)]
    condition = " && ".join(test for test in tests if test) or "1"
    return f"static __always_inline bool is_wanted(u64 thread)\n{{\n\treturn {condition};\n}}\n"


def _any_of(expression: str, numbers: Iterable[int]) -> str:
    tests = " || ".join(f"{expression} == {number}u" for number in sorted(numbers))
    return f"({tests})" if tests else ""


def slot_codes(slots: Iterable[SlotRange]) -> tuple[int, ...]:
    """Return the code of each slot, in slot order."""
    return tuple(code for r in slots for code in range(r.first, r.first + r.length))


def slot_function(slots: Sequence[SlotRange]) -> str:
    """Return C that maps a code to its slot, and any other code to KSTATS_SLOTS."""
    lines = ["static __always_inline u64 slot_of(u64 code)", "{"]
    base = 0
    for r in slots:
        lines += [
            f"\tif (code - {r.first:#x}ULL < {r.length})",
            f"\t\treturn {base} + (code - {r.first:#x}ULL);",
        ]
        base += r.length
    return "\n".join([*lines, "\treturn KSTATS_SLOTS;", "}", ""])


def located(file: CFile) -> str:
    """Return a file's text, with a directive so that the compiler's messages name the file."""
    return f'#line 1 "bpf/{file.name}"\n{file.read_text(encoding="utf-8")}'
