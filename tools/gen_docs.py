"""Write docs/reasons.md from the tables of kstats/arch.

With ``--check`` nothing is written; the exit status says whether the file is up to date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kstats.arch.arm64 import ARM64
from kstats.arch.base import Category
from kstats.arch.x64 import X64

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kstats.arch import Arch, Isa

OURS = (X64, ARM64)
TARGET = Path(__file__).parent.parent / "docs" / "reasons.md"

HEAD = """\
<!-- Written by tools/gen_docs.py from the tables of kstats/arch; not for editing. -->

# Exit reasons

Every code that kstats has a name for, as the kernel spells it. Any other code keeps its number
(`vmx:0x99`) and counts under `other`. The high 32 bits of a code qualify it: on SVM, 1 is a
read and 2 a write of an MSR; on ARM64, 1 marks KVM's return code in place of an exception
class. What the categories mean is in [categories.md](categories.md).
"""


def document() -> str:
    """The whole file."""
    parts = [HEAD]
    for arch in OURS:
        parts += [f"## {arch.title}\n", columns(arch)]
        parts += [f"### {isa.title} (`{isa.name}`)\n\n{reasons(isa)}" for isa in arch.isas]
    parts += ["## By category\n", categories(OURS)]
    return "\n".join(parts)


def columns(arch: Arch) -> str:
    """The columns of ``kstats -v`` and what counts under each."""
    rows = []
    for column in arch.columns:
        listed = [f"{isa.name}: {names(isa, column=column.key)}" for isa in arch.isas]
        heading = f"{column.group}({column.label})" if column.group else column.label
        counted = "everything else" if column.key == "other" else "; ".join(listed)
        rows.append((f"`{heading}`", f"`{column.key}`", column.meaning, counted))
    return _table(("column", "in JSON and CSV", "meaning", "reasons"), rows)


def reasons(isa: Isa) -> str:
    """Every reason of an ISA."""
    rows = [
        (f"`{r.code:#x}`", f"`{r.name}`", r.column, r.category, r.meaning, r.source)
        for r in sorted(isa.reasons.values(), key=lambda r: r.code)
    ]
    return _table(("code", "name", "column", "category", "meaning", "source"), rows)


def categories(known: Iterable[Arch]) -> str:
    """The reasons of every ISA side by side, by category."""
    isas = [isa for arch in known for isa in arch.isas]
    rows = [
        (f"`{category}`", *(names(isa, category=category) for isa in isas)) for category in Category
    ]
    return _table(("category", *(isa.title for isa in isas)), rows)


def names(isa: Isa, **wanted: str) -> str:
    """The names of an ISA's reasons with the wanted column or category, by code."""
    found = [
        f"`{reason.name}`"
        for _, reason in sorted(isa.reasons.items())
        if all(getattr(reason, key) == value for key, value in wanted.items())
    ]
    return " ".join(found) or "-"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def lines() -> Iterator[str]:
        cells = tuple(headings)
        for row in (cells, ["---"] * len(cells), *rows):
            yield f"| {' | '.join(row)} |\n"

    return "".join(lines())


def main() -> None:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description="Generate docs/reasons.md.")
    parser.add_argument("--check", action="store_true", help="only say whether it is out of date")
    check = parser.parse_args().check
    text = document()
    stale = not TARGET.exists() or TARGET.read_text() != text
    if stale and not check:
        TARGET.write_text(text)
    if stale:
        print("out of date:" if check else "written:", "docs/reasons.md")
    sys.exit(check and stale)


if __name__ == "__main__":
    main()
