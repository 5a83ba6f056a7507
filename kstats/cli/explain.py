"""``kstats explain``: what an exit is, why there may be many of it, and what helps."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator, Sequence

from kstats import arch as arches
from kstats.arch import lookup, shapes
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Category, Isa, Reason
from kstats.arch.lookup import Found, UnknownReasonError
from kstats.cli import options, streams

_DESCRIPTION = """\
Name a reason as any tool writes it, in upper or lower case:

  kstats explain EPT_VIOLATION        a name; SVM_EXIT_NPF and vmmcall will do, too
  kstats explain 48 0x7c              a code, of every ISA that has it
  kstats explain vmx:48 svm:msr:wr    of one ISA; or --isa
  kstats explain ept idle             a column of kstats cpu, or a category: its reasons
  kstats explain "msr(wr)" svm:ept    a column as it is shown; of one ISA
"""

_EPILOG = f"""\
categories: {" ".join(Category)}

exit status: 0 if every reason is known, else 2
"""

_WIDTH = 96


def parser() -> options.Parser:
    """The command line of ``kstats explain``."""
    p = options.Parser.of("explain", "REASON…", _DESCRIPTION, _EPILOG)
    p.add_argument("reasons", nargs="+", metavar="REASON", help="a code or a name")
    p.add_argument("--isa", metavar="ISA", help="only this ISA, or architecture")
    p.add_format(("table", "json"))
    p.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return p


def run(words: list[str]) -> int:
    """Runs ``kstats explain``; returns the exit status."""
    args = parser().parse(words or ["--help"])
    wanted = None if args.isa is None else lookup.isas(args.isa)
    found = [found for text in args.reasons for found in _find(text, wanted)]
    with streams.writing():
        if args.format == "json":
            for isa, reason in found:
                print(json.dumps(shapes.reason_object(isa, reason)))
        else:
            print("\n\n".join("\n".join(_lines(isa, reason)) for isa, reason in found))
    return 0


def _find(text: str, wanted: tuple[Isa, ...] | None) -> list[Found]:
    """What is named so, then what else is in the column or category of that name."""
    group = list(lookup.group(text, wanted))
    try:
        named = lookup.find(text, wanted)
    except UnknownReasonError:
        if group:
            return group
        raise
    codes = {(isa.name, reason.code) for isa, reason in named}
    return named + [found for found in group if (found[0].name, found[1].code) not in codes]


def _lines(isa: Isa, reason: Reason) -> Iterator[str]:
    qualifier, number = reason.code >> NUMBER_BITS, reason.code & NUMBER_MASK
    qualified = f", qualifier {qualifier}" if qualifier else ""
    yield f"{reason.name}  {isa.title}, {isa.name}:{number} ({number:#x}{qualified})"
    yield f"  {reason.meaning or 'not in the tables: a code of a newer kernel or processor'}"
    yield f"  column {_heading(isa, reason)}, category {reason.category}"
    advice = shapes.advice(isa, reason)
    yield from _list("causes", advice.causes)
    yield from _list("cures", advice.cures)
    if reason.source:
        yield f"  see {reason.source}"


def _heading(isa: Isa, reason: Reason) -> str:
    """The column as ``kstats cpu`` shows it, and as JSON and CSV call it."""
    columns = arches.columns(lookup.arch_of(isa))
    column = next(column for column in columns if column.key == reason.column)
    return f"{lookup.shown(column)} = {column.key}" if column.group else column.key


def _list(title: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield f"  {title}:"
    for sentence in sentences:
        yield from textwrap.wrap(
            sentence, _WIDTH, initial_indent="    - ", subsequent_indent="      "
        )
