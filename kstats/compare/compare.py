"""``kstats compare``: hosts, or parts of one host, by category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import attrs

from kstats import arch as arches
from kstats.arch.base import Category
from kstats.compare.aggregate import DROPPED_CODE, Aggregate, Key, Part, PartKey
from kstats.compare.quantiles import ENOUGH, Quantiles
from kstats.compare.result import NEW, TOTAL, Comparison, Figures, Line, Per, Ratio, Subject
from kstats.errors import KstatsError
from kstats.model import Code
from kstats.table import Cell
from kstats.views import losses
from kstats.views.exits import UNKNOWN, names_of
from kstats.vms.identity import Vm

DROPPED_CODE_NAME = "(dropped code)"


@attrs.frozen
class Options:
    """The options of a comparison.

    Attributes:
        reasons: Show the reasons of each category below it.
        per: The rates that ratios compare: exits per vCPU-second or per second; None for the
            former if the number of vCPUs of every subject is known.
        top: Show only this many parts, those with the most exits.
    """

    reasons: bool = False
    per: Per | None = None
    top: int | None = None


@attrs.frozen(eq=False)
class _Side:
    """A subject and the sums from which it was computed."""

    subject: Subject
    aggregate: Aggregate
    part: Part
    possible: frozenset[Category]


def compare(aggregates: Mapping[str, Aggregate], options: Options | None = None) -> Comparison:
    """Compare recordings, given by label; all must be added up in the same way.

    Ratios are to the first recording, part by part; within a single recording to its first part.

    Raises:
        KstatsError: ratios per vCPU-second are requested, but vCPUs are unknown.
    """
    options = options or Options()
    by = next(iter(aggregates.values())).by
    sides = _top(
        [side for label in aggregates for side in _sides(label, aggregates[label])], options.top
    )
    per = _per(sides, options.per)
    keys = _keys(sides, reasons=options.reasons)
    bases = _bases(sides)
    lines = [line for key in keys for line in _lines(key, bases, per)]
    return Comparison(
        by,
        per,
        tuple(s.subject for s in sides),
        tuple(lines),
        tuple(_notes(aggregates, sides, per)),
    )


def _sides(label: str, aggregate: Aggregate) -> Iterator[_Side]:
    names, isas, possible = _part_names(aggregate), aggregate.isas, aggregate.possible()
    order = sorted(aggregate.parts, key=lambda key: _order(aggregate, key))
    for key in order or [None]:
        part = aggregate.parts.get(key, Part())
        vcpus = part.vcpu_seconds
        subject = Subject(
            recording=label,
            part=names.get(key),
            arch=aggregate.arch,
            isas=isas,
            begin=_iso(aggregate.begin),
            end=_iso(aggregate.end),
            seconds=part.seconds,
            samples=part.samples,
            cpus=1 if isinstance(key, int) else aggregate.cpus,
            vcpus=vcpus / part.seconds if vcpus and part.seconds else None,
            exits=part.exits.total(),
            losses=dict(aggregate.losses),
        )
        yield _Side(subject, aggregate, part, possible)


def _part_names(aggregate: Aggregate) -> dict[PartKey, Cell]:
    if aggregate.by is None:
        return {}
    vms = names_of(key for key in aggregate.parts if isinstance(key, Vm))
    cpus = [key for key in aggregate.parts if isinstance(key, int)]
    return {None: UNKNOWN, **{vm: vms[vm] for vm in vms}, **{cpu: cpu for cpu in cpus}}


def _order(aggregate: Aggregate, key: PartKey) -> tuple[int, int]:
    """Return the sort key of a part: CPUs by number, VMs by exits, largest first."""
    return (key, 0) if isinstance(key, int) else (0, -aggregate.parts[key].exits.total())


def _top(sides: list[_Side], top: int | None) -> list[_Side]:
    exits: Counter[Cell] = Counter()
    for side in sides:
        exits[side.subject.part] += side.subject.exits
    chosen = {part for part, _ in exits.most_common(top)}
    return [side for side in sides if side.subject.part in chosen]


def _per(sides: Iterable[_Side], wanted: Per | None) -> Per:
    unknown = [side.subject.name for side in sides if not side.subject.vcpus]
    if unknown and wanted == "vcpu_second":
        raise KstatsError(
            f"the number of vCPUs of {unknown[0]} is unknown",
            "compare --per second, or record by thread",
        )
    return wanted or ("second" if unknown else "vcpu_second")


def _keys(sides: Sequence[_Side], *, reasons: bool) -> Iterator[tuple[str, Key]]:
    """Yield (category, key) of each group of lines in their order; the total comes last."""
    counts: Counter[Code] = Counter()
    for side in sides if reasons else ():
        counts.update(side.part.exits)
    for category in Category:
        yield str(category), category
        for code, n in counts.most_common():
            if n and sides[0].aggregate.category(code) is category:
                yield str(category), code
    yield TOTAL, None


def _lines(key: tuple[str, Key], bases: Mapping[_Side, _Side | None], per: Per) -> Iterator[Line]:
    category, what = key
    code = what if isinstance(what, tuple) else None
    figures = {side: _figures(side, what) for side in bases}
    for side, own in figures.items():
        if code is not None and own.count is None:
            continue  # a reason of another ISA
        base = bases[side]
        ratio = _ratio(own, figures[base], per) if base is not None else None
        name = "" if code is None else _reason(code)
        yield Line(category, name, code, side.subject, own, ratio)


def _bases(sides: Sequence[_Side]) -> dict[_Side, _Side | None]:
    """Return the baseline of each side; None if the first recording lacks this part."""
    first = sides[0]
    if all(side.aggregate is first.aggregate for side in sides):
        return dict.fromkeys(sides, first)
    of_first = [side for side in sides if side.aggregate is first.aggregate]
    # Reversed: of several parts with one name, the first is the baseline.
    by_part = {side.subject.part: side for side in reversed(of_first)}
    return {side: by_part.get(side.subject.part) for side in sides}


def _figures(side: _Side, key: Key) -> Figures:
    part = side.part
    count = _count(side, key)
    if count is None:
        return Figures()
    rates = part.rates.get(key, Quantiles())
    several = part.samples >= ENOUGH
    return Figures(
        count=count,
        per_second=count / part.seconds if part.seconds else None,
        per_vcpu_second=count / part.vcpu_seconds if part.vcpu_seconds else None,
        share=100 * count / side.subject.exits if side.subject.exits else None,
        median=rates.quantile(0.5, part.samples) if part.samples else None,
        p5=rates.quantile(0.05, part.samples) if several else None,
        p95=rates.quantile(0.95, part.samples) if several else None,
    )


def _count(side: _Side, key: Key) -> int | None:
    """Return the number of exits; None if such exits are impossible."""
    exits = side.part.exits
    if key is None:
        return exits.total()
    if isinstance(key, Category):
        if key not in side.possible:
            return None
        return sum(n for code, n in exits.items() if side.aggregate.category(code) is key)
    return exits[key] if key == DROPPED_CODE or key[0] in side.subject.isas else None


def _ratio(own: Figures, base: Figures, per: Per) -> Ratio:
    mine, other = (getattr(figures, f"per_{per}") for figures in (own, base))
    if mine is None or other is None:
        return None
    if not other:
        return NEW if mine else None
    return float(mine / other)


def _reason(code: Code) -> str:
    return DROPPED_CODE_NAME if code == DROPPED_CODE else arches.reason(*code).name


def _notes(aggregates: Mapping[str, Aggregate], sides: Sequence[_Side], per: Per) -> Iterator[str]:
    first = sides[0].subject
    several = len(aggregates) > 1
    base = (
        first.recording
        if several or first.part is None
        else f"{sides[0].aggregate.by} {first.part}"
    )
    yield f"ratios compare exits per {per.replace('vcpu_', 'vCPU-')} with {base}"
    for label, aggregate in aggregates.items():
        own = [side for side in sides if side.aggregate is aggregate]
        yield from (f"{label}: {note}" for note in _recording_notes(aggregate, own))


def _recording_notes(aggregate: Aggregate, sides: Sequence[_Side]) -> Iterator[str]:
    if not any(side.subject.seconds for side in sides):
        yield "the recording has no samples"
        return
    if aggregate.by != "cpu" and any(side.part.vcpu_seconds is None for side in sides):
        yield "the number of vCPUs is unknown: exits were not recorded by thread"
    few = [side.subject for side in sides if side.subject.samples < ENOUGH]
    if few:
        least = min(subject.samples for subject in few)
        part = "" if aggregate.by is None else f" of {few[0].part}"
        yield f"{least} samples{part} are too few for p5 and p95, which need {ENOUGH}"
    absent = [str(category) for category in Category if category not in aggregate.possible()]
    if absent:
        yield f"{' '.join(aggregate.isas)} has no exits in {' or '.join(absent)}: see --explain"
    yield from losses.sentences(aggregate.losses)


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
