"""``kstats explain``: what an exit is, why there may be many of it, and what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import attrs

from kstats import arch as arches
from kstats.arch import lookup
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Category, Isa, Reason
from kstats.arch.lookup import Found, UnknownReasonError
from kstats.cli import options, streams
from kstats.errors import UsageError

_DESCRIPTION = """\
Without a REASON, list the categories and the reasons that have advice. Name a reason as any tool
writes it, in upper or lower case:

  kstats explain EPT_VIOLATION        a name; SVM_EXIT_NPF and vmmcall work, too
  kstats explain 48 0x7c              a code, of every ISA that has it
  kstats explain vmx:48 svm:msr:wr    a code or name of one ISA; or use --isa
  kstats explain ept idle             the reasons of a column of kstats cpu, or of a category
  kstats explain "msr(wr)" svm:ept    a column as it is shown; of one ISA
  kstats explain --search timer       reasons whose name, meaning or advice has these words
"""

_EPILOG = f"""\
categories: {" ".join(Category)}

exit status: 0 if every reason is known, else 2
"""

_WIDTH = 96
_JSON = "json"


def parser() -> options.Parser:
    """Return the command line of ``kstats explain``."""
    p = options.Parser.of("explain", "[REASON…]", _DESCRIPTION, _EPILOG)
    p.add_argument("reasons", nargs="*", metavar="REASON", help="a code, name, column or category")
    p.add_argument("--search", metavar="TEXT", help="list reasons that have every word of TEXT")
    p.add_argument("--isa", metavar="ISA", help="only this ISA or architecture")
    p.add_format(("table", _JSON))
    p.add_debug()
    return p


@attrs.frozen(kw_only=True)
class ExplainOptions:
    """The options of ``kstats explain``; without ``isa``, every ISA."""

    reasons: list[str]
    search: str | None
    isa: str | None
    format: str
    debug: bool


def run(words: list[str]) -> int:
    """Run ``kstats explain``; return the exit status."""
    wanted = parser().parse(words, ExplainOptions)
    isas = None if wanted.isa is None else lookup.isas(wanted.isa)
    if wanted.search is not None:
        found = _search(wanted.search, isas)
        text = _aligned(map(_row, found))
    elif wanted.reasons:
        found = [found for text in wanted.reasons for found in _find(text, isas)]
        text = "\n\n".join("\n".join(_lines(isa, reason)) for isa, reason in found)
    else:
        advised = lookup.with_advice(isas)
        found = [one for group in advised.values() for one in group]
        text = "\n".join(line for one in advised.items() for line in _category(*one))
    if wanted.format == _JSON:
        import json  # noqa: PLC0415 - texts do not need these

        from kstats.arch import shapes  # noqa: PLC0415

        text = "\n".join(json.dumps(shapes.reason_object(*one)) for one in found)
    with streams.writing():
        print(text)
    return 0


def _aligned(rows: Iterable[tuple[str, ...]]) -> str:
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
    return "\n".join(lines)


def _search(text: str, wanted: tuple[Isa, ...] | None) -> list[Found]:
    found = lookup.search(text, wanted)
    if not found:
        raise UsageError(
            f"no reason matches {text!r}", "use fewer words; kstats arch lists every name"
        )
    return found


def _row(found: Found) -> tuple[str, str, str, str]:
    isa, reason = found
    return isa.name, reason.name, str(reason.category), reason.meaning


def _category(category: Category, found: list[Found]) -> Iterator[str]:
    """Yield a category's meaning, and below it the reasons that have advice, by ISA."""
    from kstats.arch import categories  # noqa: PLC0415 - only the list without a REASON needs it

    yield from textwrap.wrap(f"{category}: {categories.MEANINGS[category].summary}", _WIDTH)
    for isa, group in groupby(found, key=lambda one: one[0]):
        names = " ".join(reason.name for _, reason in group)
        indent = f"  {isa.name:<7}"
        yield from textwrap.wrap(
            names, _WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent)
        )


def _find(text: str, wanted: tuple[Isa, ...] | None) -> list[Found]:
    """Return the reasons of that name, then the rest of the column or category of that name."""
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
    yield f"  {reason.meaning or 'not in the tables: reserved, or newer than kstats'}"
    yield f"  column {_heading(isa, reason)}, category {reason.category}"
    yield from _list("causes", reason.advice.causes)
    yield from _list("remedies", reason.advice.remedies)
    yield from _see(reason.sources)


def _heading(isa: Isa, reason: Reason) -> str:
    """The column as ``kstats cpu`` shows it, and as JSON and CSV call it."""
    columns = arches.columns(lookup.arch_of(isa))
    column = next(column for column in columns if column.key == reason.column)
    return f"{lookup.shown(column)} = {column.key}" if column.group else column.key


def _see(sources: str) -> Iterator[str]:
    yield from textwrap.wrap(
        sources, _WIDTH, initial_indent="  see ", subsequent_indent="      ", break_on_hyphens=False
    )


def _list(title: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield f"  {title}:"
    for sentence in sentences:
        yield from textwrap.wrap(
            sentence, _WIDTH, initial_indent="    - ", subsequent_indent="      "
        )
