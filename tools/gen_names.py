"""Write the exit name tables of kstats/arch from the kernels' own in tests/data/formats.

A table is the union over all kernels: a name, once given, stays. Two kernels that disagree
about a code are an error that somebody has to think about. With ``--check`` nothing is
written; the exit status says whether the files are up to date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from kstats.arch.arm64 import isa as arm64
from kstats.arch.print_fmt import exit_names, flag_names
from kstats.arch.x64 import svm, vmx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kstats.arch.base import Isa

ROOT = Path(__file__).parent.parent
FORMATS = ROOT / "tests" / "data" / "formats"

HEAD = """\
# Written by tools/gen_names.py from the kernels' format files; not for editing.
\"\"\"Exit names of {title}, as the kernels print them.\"\"\"
"""


@attrs.frozen
class Target:
    """A file to write, for an ISA that has its names from kernels of one machine."""

    path: str
    isa: Isa
    machine: str


TARGETS = (
    Target("kstats/arch/x64/vmx_names.py", vmx.VMX, "amd64"),
    Target("kstats/arch/x64/svm_names.py", svm.SVM, "amd64"),
    Target("kstats/arch/arm64/names.py", arm64.ARM64, "arm64"),
)


class ConflictError(Exception):
    """Two kernels name a code differently."""


def union(tables: Iterable[Mapping[int, str]]) -> dict[int, str]:
    """All entries of the tables, sorted; raises ConflictError if two disagree."""
    names: dict[int, str] = {}
    for table in tables:
        for code, name in table.items():
            if names.setdefault(code, name) != name:
                raise ConflictError(f"{code:#x} is {names[code]!r} and {name!r}")
    return dict(sorted(names.items()))


def source(target: Target, texts: list[str]) -> str:
    """The contents of the target's file."""

    def table(variable: str, names: Callable[[Isa, str], dict[int, str]]) -> str:
        entries = union(names(target.isa, text) for text in texts).items()
        lines = [f'    0x{code:02X}: "{name}",\n' for code, name in entries]
        return f"\n{variable}: dict[int, str] = {{\n{''.join(lines)}}}\n" if lines else ""

    head = HEAD.format(title=target.isa.title)
    return head + table("NAMES", exit_names) + table("FLAGS", flag_names)


def main() -> None:
    """Write or check every target."""
    parser = argparse.ArgumentParser(description="Generate the exit name tables.")
    parser.add_argument("--check", action="store_true", help="only say what is out of date")
    check = parser.parse_args().check
    stale = []
    for target in TARGETS:
        formats = sorted(FORMATS.glob(f"*-{target.machine}.format"))
        text = source(target, [path.read_text() for path in formats])
        path = ROOT / target.path
        if path.read_text() != text:
            stale.append(target.path)
            if not check:
                path.write_text(text)
    if stale:
        print("out of date:" if check else "written:", *stale)
    sys.exit(bool(check and stale))


if __name__ == "__main__":
    main()
