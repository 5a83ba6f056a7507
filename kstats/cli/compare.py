"""``kstats compare``: recordings and live hosts side by side, by category."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import attrs

from kstats import arch as arches
from kstats.arch import categories
from kstats.arch.base import Category
from kstats.cli import options, session, sources, streams
from kstats.compare.aggregate import PARTS, Aggregate
from kstats.compare.compare import Options, compare
from kstats.compare.render import FORMATS, WITHOUT_NOTES
from kstats.compare.result import NEW, TOTAL, Comparison, Line, Per
from kstats.errors import KstatsError, UsageError
from kstats.escape import LONGEST_NOTE, printable

CROSSED = 10
"""Exit status when a ratio reached its threshold."""

_DESCRIPTION = f"""\
Compare hosts of any architectures, or one host before and after a change. Each source is a
recording made by kstats record; the word live: this host, from now on; or the address of hosts in
Prometheus, Thanos, Mimir or VictoriaMetrics, which scrape kstats exporter there.

  kstats compare intel.jsonl.zst graviton.jsonl.zst
  kstats compare --reasons before.jsonl.zst after.jsonl.zst
  kstats compare before.jsonl.zst live              this host, {sources.COUNT} seconds from now on
  kstats compare --by vm host.jsonl.zst             the VMs of a host
  kstats compare --threshold 2 before.jsonl.zst after.jsonl.zst && echo fine
  kstats compare -f markdown before.jsonl.zst after.jsonl.zst      to paste into a ticket
  kstats compare 'prom+http://localhost:9090?match={{instance="web1:9991"}}&range=1h' live
  kstats compare --explain memory                   what a category contains and hides
"""

_EPILOG = f"""\
per_s is exits per second of elapsed time; median, p5 and p95 are those of the rates of single
samples. per_vcpu_s is exits per second and vCPU. ratio compares with the baseline: the first
source, or its first CPU or VM if there is only one source; "new" means that the baseline had none.
0 means none; "-" means unknown, or impossible on that host.

categories: {" ".join(Category)} {TOTAL}

exit status: {CROSSED} if a ratio reached its --threshold, 1 if a source has no samples to check;
else see kstats --help
"""

_WIDEST = 100
_NAMED = re.compile(r"(?:(\w+)=)?(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})", re.ASCII)


@attrs.frozen
class Thresholds:
    """The ratios that fail a comparison: by category or total, and for all others."""

    named: Mapping[str, float]
    general: float | None
    least: float

    def crossed(self, comparison: Comparison) -> Iterator[tuple[Line, float]]:
        """Yield the lines that reached their thresholds, with these. Reasons have none."""
        for line in comparison.lines:
            limit = self.named.get(line.category, self.general)
            if line.code is not None or limit is None or line.ratio is None:
                continue
            reached = line.ratio == NEW or line.ratio >= limit
            if reached and (line.figures.per_second or 0) >= self.least:
                yield line, limit


def parser() -> options.Parser:
    """Return the command line of ``kstats compare``."""
    p = options.Parser.of("compare", "SOURCE…", _DESCRIPTION, _EPILOG)
    add = p.add_argument
    add("--by", choices=PARTS, help="compare the CPUs or VMs of each source")
    add("--reasons", action="store_true", help="list the reasons of each category")
    add(
        "--per",
        choices=("vcpu", "second"),
        help="what ratios compare: rates per vCPU or per second (default: vcpu if known)",
    )
    text = "only the N CPUs or VMs with the most exits"
    top = partial(options.times, what="--top", without="see all of them")
    add("--top", metavar="N", type=top, help=text)
    p.add_format(FORMATS)
    add(
        "--threshold",
        metavar="[CATEGORY=]RATIO",
        action="append",
        default=[],
        help=f"exit with status {CROSSED} if a ratio reaches RATIO; can be repeated",
    )
    add(
        "--least",
        metavar="RATE",
        help="ignore lines below this many exits per second when checking thresholds (default 1)",
    )
    add(
        "--explain",
        nargs="*",
        metavar="CATEGORY",
        help="explain categories: what they mean on each ISA, and what they hide",
    )
    sources.add_arguments(p)
    return p


@attrs.frozen(kw_only=True)
class CompareOptions(sources.SourceOptions):
    """The options of ``kstats compare``; ``explain`` has categories, none for all."""

    by: str | None
    reasons: bool
    per: str | None
    top: int | None
    format: str
    threshold: list[str]
    least: str | None
    explain: list[str] | None


def run(words: list[str]) -> int:
    """Run ``kstats compare``; return the exit status."""
    wanted = parser().parse(words, CompareOptions)
    if wanted.explain is not None:
        text = explanation([_category(name) for name in wanted.explain] or list(Category))
        with streams.writing() as out:
            out.write(text)
        return 0
    thresholds = _thresholds(wanted)
    if wanted.by == "cpu" and any(word.startswith(sources.PROMETHEUS) for word in wanted.sources):
        raise UsageError("metrics in Prometheus have no reasons by CPU", "compare --by vm")
    with sources.opened(wanted) as found:
        comparison = compare(_aggregates(wanted, found), _view_options(wanted))
    with streams.writing() as out:
        out.write(FORMATS[wanted.format](comparison))
    if wanted.format in WITHOUT_NOTES:
        session.print_errors(printable(note, LONGEST_NOTE) for note in comparison.notes)
    crossed = list(thresholds.crossed(comparison))
    session.print_errors(_sentence(line, limit, comparison) for line, limit in crossed)
    unchecked = list(_unchecked(comparison)) if wanted.threshold else []
    session.print_errors(unchecked)
    sources.check(found)
    return CROSSED if crossed else KstatsError.status if unchecked else 0


def _unchecked(comparison: Comparison) -> Iterator[str]:
    """Yield a message for each source that no threshold can be checked for."""
    for subject in comparison.subjects:
        if subject.begin is None:
            yield f"{printable(subject.recording)} has no samples: its thresholds were not checked"


def _aggregates(wanted: CompareOptions, found: Sequence[sources.Source]) -> dict[str, Aggregate]:
    """Return the sums of each source by its label."""
    sums = {source.label: Aggregate(wanted.by, reasons=wanted.reasons) for source in found}
    for source in sources.live_last(found):
        for sample in source.samples():
            sums[source.label].add(sample)
    return sums


def _view_options(wanted: CompareOptions) -> Options:
    per: Mapping[str | None, Per | None] = {"vcpu": "vcpu_second", "second": "second", None: None}
    return Options(reasons=wanted.reasons, per=per[wanted.per], top=wanted.top)


def _thresholds(wanted: CompareOptions) -> Thresholds:
    limits: dict[str | None, float] = {}
    for text in wanted.threshold:
        match = _NAMED.fullmatch(text)
        if not match or float(match[2]) <= 1:
            raise UsageError(
                f"invalid threshold {text!r}", "give a ratio above 1, like 2 or io=1.5"
            )
        what = match[1] if match[1] in (None, TOTAL) else _category(match[1])
        if what in limits:
            raise UsageError(
                f"--threshold {text} is given twice for one category", "keep one of them"
            )
        limits[what] = float(match[2])
    if wanted.threshold and len(wanted.sources) == 1 and wanted.by is None:
        raise UsageError(
            "--threshold has nothing to compare with", "name a second source, or --by cpu or vm"
        )
    match = _NAMED.fullmatch("1" if wanted.least is None else wanted.least)
    if not match or match[1]:
        raise UsageError(f"invalid rate {wanted.least!r} for --least", "give a number, like 0.5")
    named = {what: limit for what, limit in limits.items() if what is not None}
    return Thresholds(named, limits.get(None), float(match[2]))


def _category(name: str) -> Category:
    if name not in list(Category):
        raise UsageError(f"unknown category {name!r}", f"categories: {', '.join(Category)}")
    return Category(name)


def _sentence(line: Line, limit: float, comparison: Comparison) -> str:
    what = "all exits" if line.category == TOTAL else line.category
    change = "new" if line.ratio == NEW else f"{line.ratio:.3g} times as many"
    unit = comparison.per.replace("vcpu_", "vCPU-")
    who = printable(line.subject.name)
    return f"{what}: {who} has {change} per {unit}; the threshold is {limit:g}"


def explanation(wanted: list[Category]) -> str:
    """Return what categories mean, wrapped for the terminal."""
    isas = [isa for arch in arches.arches() for isa in arch.isas]
    blocks = []
    for category in wanted:
        meaning = categories.MEANINGS[category]
        said = [f"{who}: {text}" for who, text in categories.notes(category, isas)]
        blocks += [[f"{category}: {meaning.summary}", *meaning.hides, *said]]
    blocks.append(["On every architecture", *categories.EVERYWHERE])
    return "\n".join(_wrapped(block) for block in blocks)


def _wrapped(block: list[str]) -> str:
    """The first paragraph, and the others as a list below it; without Markdown's emphasis."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    first, *items = [text.replace("**", "").replace("`", "") for text in block]
    paragraphs = [
        textwrap.fill(first, width),
        *(textwrap.fill(f"  - {item}", width, subsequent_indent="    ") for item in items),
    ]
    return "".join(f"{paragraph}\n" for paragraph in paragraphs)
