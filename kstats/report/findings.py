"""What matters in a recording, in words: what dominates, who causes it, when, what changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

import attrs

from kstats.arch.base import Category
from kstats.durations import duration
from kstats.escape import printable
from kstats.model import Code
from kstats.report.gather import Gathered, Latency
from kstats.report.texts import moment, rate
from kstats.views.latency import is_idle
from kstats.why.engine import Finding as Cause
from kstats.why.render import who
from kstats.why.rule import Severity
from kstats.why.signals import SHARE

_MUCH = 0.05
"""The least share of all exits that is worth a sentence, and of time that a VM waits."""

_CAUSES = 3
"""The most findings of ``kstats why`` on the page."""

_CLEAR = 2.0
"""The least difference of two means, in standard deviations, that is a change."""

_FEWEST = 3
"""Bins on each side of a change."""


@attrs.frozen
class Finding:
    """A sentence in parts, of which any may be empty.

    Attributes:
        subject: It links to the picture.
        section: The section with the picture: ``time``, ``cpus``, ``vms``, ``latency``, ``states``.
        text: What follows the subject.
        reason: The name of a reason, which links to its explanation.
        code: The code of that reason.
        end: The rest.
        before: What comes before the subject.
    """

    subject: str
    section: str
    text: str = ""
    reason: str = ""
    code: Code | None = None
    end: str = "."
    before: str = ""


def findings(of: Gathered, vm_names: Sequence[str]) -> Iterator[Finding]:
    """Yield findings, the most important first; ``vm_names`` are by number of a VM."""
    if not of.exits.total() or not any(of.bins.seconds):
        return
    causes = _grave(of)
    yield from (_cause(of, cause) for cause in causes)
    yield from _what(of)
    yield from _who(of, vm_names)
    yield from _when(of)
    yield from _where(of)
    yield from _changed(of)
    yield from _latency(of)
    if all(cause.rule.id != "vcpu-starved" for cause in causes):
        yield from _waiting(of, vm_names)


def _grave(of: Gathered) -> list[Cause]:
    """Return what ``kstats why`` finds, as far as it matters; the most important first."""
    found = of.causes.report().findings
    return [cause for cause in found if cause.severity >= Severity.WARNING][:_CAUSES]


def _cause(of: Gathered, cause: Cause) -> Finding:
    before = f"{str(cause.severity).capitalize()}, {who(cause)}: "
    section = "states" if any(of.times) and cause.rule.signal.unit == SHARE else "time"
    return Finding(cause.rule.title, section, f" ({printable(cause.evidence[0])})", before=before)


def _what(of: Gathered) -> Iterator[Finding]:
    sums: Counter[Category] = Counter()
    for code, n in of.exits.items():
        sums[of.category(code)] += n
    ranked = sums.most_common()
    first = _percent(ranked[0][1], of.exits.total())
    yield _category(of, *ranked[0], f" dominates: {first} of all exits")
    if ranked[0][0] is Category.IDLE and len(ranked) > 1:
        second = _percent(ranked[1][1], of.exits.total() - ranked[0][1])
        yield _category(of, *ranked[1], f" leads the others: {second} of them")


def _category(of: Gathered, category: Category, n: int, text: str) -> Finding:
    codes = Counter({code: m for code, m in of.exits.items() if of.category(code) is category})
    ((code, most),) = codes.most_common(1)
    end = f" ({_percent(most, n)} of its exits)." if len(codes) > 1 else "."
    mostly = ", mostly " if len(codes) > 1 else ", all "
    return Finding(str(category), "time", text + mostly, of.name(code), code, end)


def _who(of: Gathered, names: Sequence[str]) -> Iterator[Finding]:
    sums = Counter({vm: codes.total() for vm, codes in of.vm_codes.items()})
    if len(sums) < 2:
        return
    total = of.exits.total()
    ((vm, n),) = sums.most_common(1)
    if n >= _MUCH * total:
        ((code, most),) = of.vm_codes[vm].most_common(1)
        text = f" causes {_percent(n, total)} of the exits of {len(sums)} VMs, mostly "
        end = f" ({_percent(most, n)} of its own)."
        yield Finding(names[vm], "vms", text, of.name(code), code, end)


def _when(of: Gathered) -> Iterator[Finding]:
    highest = of.highest.get(None)
    at = max(highest, key=lambda at: highest[at])
    mean = of.exits.total() / sum(of.bins.seconds)
    times = highest[at] / mean
    if times >= 1.2:
        text = f", with {rate(highest[at])} exits per second, {times:.1f} times the mean"
        subject = f"at {moment(of.bins.starts[at])}"
        yield Finding(subject, "time", text, before="The busiest sample is ")


def _where(of: Gathered) -> Iterator[Finding]:
    rows = len(of.rows)
    if rows < 4:
        return
    most = [0.0] * rows
    for peaks in of.peaks.get(None).values():
        for row, peak in enumerate(peaks):
            most[row] = max(most[row], peak)
    usual = sorted(most)[rows // 2]
    row = max(range(rows), key=lambda row: most[row])
    if most[row] >= 3 * usual and most[row] > 0:
        text = f" reaches {rate(most[row])} exits per second; half of the CPUs stay at"
        yield Finding(f"CPU {of.rows.labels()[row]}", "cpus", f"{text} {rate(usual)} or less")


def _changed(of: Gathered) -> Iterator[Finding]:
    """Yield the category with the largest change of level, if any is clear."""
    sums: dict[Category, Counter[int]] = {}
    for code in of.codes:
        sums.setdefault(of.category(code), Counter()).update(of.codes.get(code))
    changes = []
    whole = of.exits.total() / sum(of.bins.seconds)
    for category, counts in sums.items():
        rates = [(at, r) for at, r in enumerate(of.bins.rates(counts)) if r is not None]
        found = step([r for _, r in rates])
        if found:
            place, before, after = found
            if abs(after - before) >= _MUCH * whole:
                changes.append((abs(after - before), category, rates[place][0], before, after))
    for _, category, at, before, after in sorted(changes, key=lambda c: -c[0])[:1]:
        verb = "rose" if after > before else "fell"
        words = f" {verb} from {rate(before)} to {rate(after)} exits per second at"
        yield Finding(str(category), "time", f"{words} {moment(of.bins.starts[at])}")


def step(values: Sequence[float]) -> tuple[int, float, float] | None:
    """Return where the level changes and the means before and after; None if it does not clearly.

    The place is the one that leaves the least variance on both sides.
    """
    n = len(values)
    if n < 2 * _FEWEST:
        return None
    sums = [0.0, *accumulate(values)]
    squares = [0.0, *accumulate(value * value for value in values)]

    def rest(a: int, b: int) -> float:
        return max(squares[b] - squares[a] - (sums[b] - sums[a]) ** 2 / (b - a), 0.0)

    place = min(range(_FEWEST, n - _FEWEST + 1), key=lambda k: rest(0, k) + rest(k, n))
    before, after = sums[place] / place, (sums[n] - sums[place]) / (n - place)
    deviation = math.sqrt((rest(0, place) + rest(place, n)) / n)
    clear = abs(after - before) > _CLEAR * deviation and abs(after - before) > 1e-9
    return (place, before, after) if clear else None


def _latency(of: Gathered) -> Iterator[Finding]:
    sums = {code: total_latency(of, code) for code in of.latency if not is_idle(code)}
    whole = sum(latency.total for latency in sums.values())
    if not whole:
        return
    code = max(sums, key=lambda code: sums[code].total)
    histogram = sums[code].histogram
    p99 = histogram.percentile(99)
    end = f": half of them take at most {duration(histogram.percentile(50) or 0)}, 99 % at most"
    end += f" {duration(p99 or 0)}."
    before, share = "Of the time in exits that are not idle, ", _percent(histogram.total, whole)
    yield Finding(share, "latency", " is ", of.name(code), code, end, before)


def total_latency(of: Gathered, code: Code) -> Latency:
    """Return the latencies of a code in the whole recording."""
    total = Latency()
    for latency in of.latency.get(code).values():
        total.add(latency)
    return total


def _waiting(of: Gathered, names: Sequence[str]) -> Iterator[Finding]:
    shares = {}
    for vm in of.times:
        spent = [attrs.asdict(time) for time in of.times.get(vm).values()]
        whole = sum(n or 0 for of_bin in spent for n in of_bin.values())
        waiting = sum(of_bin["waiting"] or 0 for of_bin in spent)
        if whole:
            shares[vm] = waiting / whole
    for vm in sorted(shares, key=lambda vm: -shares[vm])[:1]:
        if shares[vm] >= _MUCH:
            text = f" waits for a CPU {100 * shares[vm]:.1f} % of the time"
            yield Finding(names[vm], "states", text)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %"
