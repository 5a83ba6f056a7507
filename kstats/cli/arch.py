"""``kstats arch``: the tables of exit codes, for people and for other tools."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping
from itertools import groupby

import attrs
from tabulate import tabulate

from kstats.arch import lookup, shapes
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Isa
from kstats.cli import options, streams
from kstats.errors import UsageError

_DESCRIPTION = """\
Each code comes with its name, column, category, meaning and manual section.

  kstats arch                        every architecture
  kstats arch svm -f csv             one ISA
  kstats arch vmx -f bpftrace >exits.bt && bpftrace exits.bt
"""

_EPILOG = """\
formats:
  table          aligned columns
  json           one object per architecture and line, with causes and remedies
  csv            one line per code
  ebpf_exporter  decoders for the configuration of cloudflare/ebpf_exporter (YAML); one ISA
  bpftrace       a script that counts exits by name; one ISA

kstats explain describes what an exit means to an operator.
"""

_FIELDS = ("isa", "code", "qualifier", "reason", "column", "category", "meaning", "source")


def parser() -> options.Parser:
    """Return the command line of ``kstats arch``."""
    p = options.Parser.of("arch", "[ISA]", _DESCRIPTION, _EPILOG)
    p.add_argument("isa", nargs="?", metavar="ISA", help="an ISA or architecture (default: all)")
    p.add_format(_FORMATS)
    p.add_debug()
    return p


@attrs.frozen(kw_only=True)
class ArchOptions:
    """The options of ``kstats arch``; without ``isa``, every ISA."""

    isa: str | None
    format: str
    debug: bool


def run(words: list[str]) -> int:
    """Run ``kstats arch``; return the exit status."""
    wanted = parser().parse(words, ArchOptions)
    isas = lookup.isas(wanted.isa)
    with streams.writing():
        _FORMATS[wanted.format](isas)
    return 0


def _table(isas: tuple[Isa, ...]) -> None:
    headings = ("code", "qual", "reason", "column", "category", "meaning")
    for isa in isas:
        rows = [
            (f"{r.code & NUMBER_MASK:#x}", r.code >> NUMBER_BITS or "", *_words(isa, r.code))
            for r in (isa.reasons[code] for code in sorted(isa.reasons))
        ]
        print(f"{isa.title} ({isa.name})\n")
        print(tabulate(rows, headings, tablefmt="plain", disable_numparse=True), end="\n\n")


def _words(isa: Isa, code: int) -> tuple[str, ...]:
    reason = isa.reasons[code]
    return reason.name, reason.column, str(reason.category), reason.meaning


def _json(isas: tuple[Isa, ...]) -> None:
    for arch, members in groupby(isas, key=lookup.arch_of):
        print(json.dumps(shapes.arch_object(arch, tuple(members))))


def _csv(isas: tuple[Isa, ...]) -> None:
    writer = csv.DictWriter(sys.stdout, _FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for isa in isas:
        writer.writerows(shapes.reason_object(isa, r) for _, r in sorted(isa.reasons.items()))


def _of_one(shape: Callable[[Isa], str], name: str) -> Callable[[tuple[Isa, ...]], None]:
    def write(isas: tuple[Isa, ...]) -> None:
        if len(isas) != 1:
            known = ", ".join(isa.name for isa in isas)
            raise UsageError(f"format {name} needs a single ISA", f"name one: {known}")
        try:
            print(shape(isas[0]), end="")
        except ValueError as error:
            raise UsageError(str(error)) from error

    return write


_FORMATS: Mapping[str, Callable[[tuple[Isa, ...]], None]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "ebpf_exporter": _of_one(shapes.ebpf_exporter, "ebpf_exporter"),
    "bpftrace": _of_one(shapes.bpftrace, "bpftrace"),
}
