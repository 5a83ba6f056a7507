"""``kstats explain``: what an exit, a counter or a line of a log is, and what to do about it."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from kstats import arch as arches
from kstats.arch import lookup
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Category, Isa, Reason
from kstats.arch.lookup import Found, UnknownReasonError
from kstats.cli import options, streams
from kstats.errors import KstatsError, UsageError
from kstats.explain import lookup as explain
from kstats.explain.term import Answer, Term, key
from kstats.explain.words import FLAGS

_DESCRIPTION = """\
Without a REASON, list the categories and the reasons that have advice. Name a reason as any tool
writes it, in upper or lower case, or paste a line:

  kstats explain EPT_VIOLATION        a name; SVM_EXIT_NPF and vmmcall work, too
  kstats explain 48 0x7c              a code, of every ISA that has it
  kstats explain vmx:48 svm:msr:wr    a code or name of one ISA; or use --isa
  kstats explain ept idle             the reasons of a column of kstats cpu, or of a category
  kstats explain "msr(wr)" svm:ept    a column as it is shown; of one ISA
  kstats explain KVM_EXIT_IO          also halt_exits, "#PF", 0x6e0, "port 0x70", AVIC: what they
                                      are, and the exit reasons that they have to do with
  dmesg | kstats explain -            lines of the kernel, QEMU, perf and trace-cmd
  kstats explain --search timer       everything with these words in its name or meaning
"""

_EPILOG = f"""\
categories: {" ".join(Category)}

exit status: 0 if everything was recognized, else 2
"""

_WIDTH = 96
_JSON = "json"
_STDIN = "-"


def parser() -> options.Parser:
    """Return the command line of ``kstats explain``."""
    p = options.Parser.of("explain", "[REASON…]", _DESCRIPTION, _EPILOG)
    p.add_argument(
        "reasons",
        nargs="*",
        metavar="REASON",
        help="a code, name, column, category or line; - reads lines from standard input",
    )
    p.add_argument("--search", metavar="TEXT", help="list what has every word of TEXT")
    p.add_argument("--isa", metavar="ISA", help="only this ISA or architecture")
    p.add_format(("table", _JSON))
    p.add_debug()
    return p


class ExplainOptions(NamedTuple):
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
    found: list[Answer]
    unknown: KstatsError | None = None
    if wanted.search is not None:
        found = _search(wanted.search, isas)
        text = _aligned(map(_row, found))
    elif wanted.reasons:
        found, unknown = _answers(wanted.reasons, isas)
        text = "\n\n".join("\n".join(_lines(answer)) for answer in found)
    else:
        advised = lookup.with_advice(isas)
        found = [one for group in advised.values() for one in group]
        text = "\n".join(line for one in advised.items() for line in _category(*one))
    if wanted.format == _JSON:
        text = "\n".join(map(_json, found))
    with streams.writing():
        if found:
            print(text)
    if unknown:
        raise unknown
    return 0


def _answers(
    words: Sequence[str], isas: tuple[Isa, ...] | None
) -> tuple[list[Answer], KstatsError | None]:
    """Return what the words mean, and an error about those that are not recognized.

    If a word is not recognized, but all of them are together, they were meant as one text.
    """
    texts = [line for word in words for line in (_input() if word == _STDIN else (word,))]
    if not texts:
        return [], UsageError("nothing to explain: standard input is empty")
    answers: dict[tuple[str, str, int], Answer] = {}
    unknown: list[UnknownReasonError] = []
    for text in dict.fromkeys(line for line in texts if line.strip() or len(texts) == 1):
        try:
            answers |= {key(answer): answer for answer in explain.find(text, isas)}
        except UnknownReasonError as error:
            unknown.append(error)
    if unknown and len(words) > 1 and _STDIN not in words:
        with contextlib.suppress(UnknownReasonError):
            return explain.find(" ".join(words), isas), None
    return list(answers.values()), _error(unknown)


def _error(unknown: Sequence[UnknownReasonError]) -> KstatsError | None:
    if len(unknown) <= 1:
        return unknown[0] if unknown else None
    return UsageError(
        f"{len(unknown)} lines or words not recognized, the first: {unknown[0].text!r}",
        unknown[0].hint,
    )


def _input() -> Iterator[str]:
    """Yield the lines of standard input, whatever bytes they have."""
    with open(0, encoding="utf-8", errors="replace", closefd=False) as lines:
        yield from lines


def _json(answer: Answer) -> str:
    import json  # noqa: PLC0415 - texts do not need these

    from kstats.arch import shapes  # noqa: PLC0415

    if not isinstance(answer, Term):
        return json.dumps(shapes.reason_object(*answer))
    exits = [shapes.reference_object(*one) for one in answer.exits]
    return json.dumps(
        {
            "term": answer.name,
            "kind": answer.kind,
            "meaning": answer.meaning,
            "exits": exits,
            "causes": list(answer.causes),
            "remedies": list(answer.remedies),
            "source": answer.source,
        }
    )


def _aligned(rows: Iterable[tuple[str, ...]]) -> str:
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
    return "\n".join(lines)


def _search(text: str, wanted: tuple[Isa, ...] | None) -> list[Answer]:
    found = explain.search(text, wanted)
    if not found:
        raise UsageError(
            f"no reason matches {text!r}", "use fewer words; kstats arch lists every name"
        )
    return found


def _row(answer: Answer) -> tuple[str, str, str, str]:
    if isinstance(answer, Term):
        return "-", answer.name, "-", answer.meaning
    isa, reason = answer
    return isa.name, reason.name, str(reason.category), reason.meaning


def _category(category: Category, found: list[Found]) -> Iterator[str]:
    """Yield a category's meaning, and below it the reasons that have advice, by ISA."""
    from kstats.arch import categories  # noqa: PLC0415 - only the list without a REASON needs it

    yield from _wrapped("", f"{category}: {categories.MEANINGS[category].summary}")
    for isa, group in groupby(found, key=lambda one: one[0]):
        yield from _wrapped(f"  {isa.name:<7}", " ".join(reason.name for _, reason in group))


def _lines(answer: Answer) -> Iterator[str]:
    yield from _term_lines(answer) if isinstance(answer, Term) else _reason_lines(*answer)


def _reason_lines(isa: Isa, reason: Reason) -> Iterator[str]:
    qualifier, number = reason.code >> NUMBER_BITS, reason.code & NUMBER_MASK
    qualified = f", qualifier {qualifier}" if qualifier else ""
    yield f"{reason.name}  {isa.title}, {isa.name}:{number} ({number:#x}{qualified})"
    yield f"  {reason.meaning or 'not in the tables: reserved, or newer than kstats'}"
    for bit, meaning in FLAGS.get(isa.name, {}).items():
        if (number & isa.flag_mask) >> bit & 1:
            yield f"  bit {bit}: {meaning}"
    yield f"  column {_heading(isa, reason)}, category {reason.category}"
    yield from _list("causes", reason.advice.causes)
    yield from _list("remedies", reason.advice.remedies)
    yield from _wrapped("  see ", reason.sources)


def _term_lines(term: Term) -> Iterator[str]:
    yield f"{term.name}  {term.kind}"
    yield from _wrapped("  ", term.meaning)
    by_isa = groupby(term.exits, key=lambda one: one[0])
    exits = (f"{isa.name} {', '.join(r.name for _, r in group)}" for isa, group in by_isa)
    yield from _wrapped("  exit reasons: ", "; ".join(exits))
    yield from _list("causes", term.causes)
    yield from _list("remedies", term.remedies)
    yield from _wrapped("  see ", term.source)


def _heading(isa: Isa, reason: Reason) -> str:
    """The column as ``kstats cpu`` shows it, and as JSON and CSV call it."""
    columns = arches.columns(lookup.arch_of(isa))
    column = next(column for column in columns if column.key == reason.column)
    return f"{lookup.shown(column)} = {column.key}" if column.group else column.key


def _list(title: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield f"  {title}:"
    for sentence in sentences:
        yield from _wrapped("    - ", sentence)


def _wrapped(head: str, text: str) -> Iterator[str]:
    """Yield a text after ``head``, on as many lines as it needs, none if it is empty.

    Importing textwrap would take longer than all the rest that is printed.
    """
    line = head
    for number, word in enumerate(text.split()):
        if number and len(line) + len(word) >= _WIDTH:
            yield line
            line = " " * len(head) + word
        else:
            line += f" {word}" if number else word
    if text:
        yield line
