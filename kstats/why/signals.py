"""Signals: the numbers that rules compare with their thresholds, and how they are put in words.

A signal measures one number of a subject (a VM, or the host). It raises :class:`Missing` if the
evidence lacks what it needs, and returns None if it does not apply, as a selection of exits that
the subject's ISA does not have.
"""

from __future__ import annotations

import fnmatch
import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

import attrs

from kstats import arch as arches
from kstats.arch.base import Category
from kstats.durations import duration
from kstats.histogram import Histogram
from kstats.model import Code, VcpuTime
from kstats.views import details as detail_views
from kstats.why.evidence import Subject

KERNEL_NS, VMM_NS = 2_000, 15_000
"""What an exit takes that KVM handles, and one that the VMM handles, if it was not measured.
docs/why.md says where the numbers come from."""

_UNEVEN = 1.5
"""A vCPU with so many times the mean is named."""

_NAMED = 3
"""How many reasons, details or CPUs a sentence names."""


class Missing(Exception):  # noqa: N818 - not an error: a rule cannot be checked
    """The evidence lacks ``part``; ``needs`` is the name of what would have to be measured."""

    def __init__(self, part: str) -> None:
        self.part = part
        super().__init__(part)


@attrs.frozen
class Measured:
    """A number and what is known about it.

    Attributes:
        value: The number, in the unit of its signal.
        text: The number in words.
        cost: The share of the vCPUs' time that it stands for; None if unknown.
        timed: Whether ``cost`` was measured, and not estimated from the number of exits.
        code: The most frequent code of the exits.
        more: Further numbers that belong to it, in words.
    """

    value: float
    text: str
    cost: float | None = None
    timed: bool = False
    code: Code | None = None
    more: tuple[str, ...] = ()


class Signal(Protocol):
    """Something that can be measured."""

    @property
    def unit(self) -> str:
        """The unit of its numbers, such as :data:`RATE`."""

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Measure it; below ``least`` the number may be a bound.

        Raises:
            Missing: The evidence lacks what it needs.
        """


RATE = "exits per vCPU-second"
SHARE = "share of time"
TIME = "ns"
COUNT = "exits"
VALUE = "value"


def rate_text(rate: float) -> str:
    """Return a rate: ``23,400 exits per vCPU-second``."""
    return f"{rate:,.0f} {RATE}" if rate >= 10 else f"{rate:.1f} {RATE}"


def share_text(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


@attrs.frozen(cache_hash=True)
class Exits:
    """A selection of exits.

    Attributes:
        reasons: ``ISA:NAME`` of their codes.
        categories: Categories of their codes.
        detail: The kind of detail by which they are selected.
        like: Patterns (:mod:`fnmatch`) of the texts of details: ``write X2APIC_ICR(*``.
        minus: Firings of events with these labels are subtracted: exits that are something else.
        flags: Also codes with flags, such as ``+FAILED_VMENTRY``: names with such an end.
    """

    reasons: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    detail: str = ""
    like: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    def codes(self, of: Subject) -> Counter[Code]:
        """Return the exits by code, whatever their details."""
        return Counter({code: of.exits[code] for code in _selected(self, of.codes)})

    def texts(self, of: Subject) -> Counter[str]:
        """Return the exits by the text of their detail, of those that the patterns select.

        Raises:
            Missing: The detail was not measured.
        """
        if self.detail not in of.details:
            raise Missing(f"{self.detail} details")
        found: Counter[str] = Counter()
        for (code, number), n in of.details[self.detail].exits.items():
            kind = detail_views.carried(code, self.detail)
            if kind and _selects(self, code):
                text = detail_views.text(kind, number)
                if any(fnmatch.fnmatchcase(text, like) for like in self.like or ("*",)):
                    found[text] += n
        return found


@functools.lru_cache(maxsize=1 << 14)
def _selected(exits: Exits, codes: frozenset[Code]) -> tuple[Code, ...]:
    """Return the selected ones of some codes. Most VMs have those of others, or of a moment ago."""
    return tuple(sorted(code for code in codes if _selects(exits, code)))


@functools.lru_cache(maxsize=1 << 14)
def _selects(exits: Exits, code: Code) -> bool:
    """Return whether a selection has exits of a code."""
    reason = arches.reason(*code)
    if exits.reasons or exits.categories or exits.flags:
        return (
            f"{code[0]}:{reason.name}" in exits.reasons
            or reason.category in exits.categories
            or any(f"+{flag}" in reason.name for flag in exits.flags)
        )
    return detail_views.carried(code, exits.detail) is not None


@attrs.frozen
class Rate:
    """Exits per vCPU-second.

    Attributes:
        of: Which exits.
        ns: What one takes if it was not timed.
        timed: Whether the latency of the exits is a cost. That of idle exits is idle time, and an
            interrupt's includes what the host runs meanwhile.
    """

    of: Exits
    ns: int = KERNEL_NS
    timed: bool = True
    unit: str = attrs.field(default=RATE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Measure the rate."""
        codes = self.of.codes(of)
        if not of.vcpu_seconds:
            if not codes:
                return None
            raise Missing("rates")
        if not codes:
            return Measured(0, rate_text(0))
        every = codes.total() / of.vcpu_seconds
        busiest, most = _busiest(of, codes)
        if max(every, most) < least:
            return Measured(every, rate_text(every))
        rate, what = self._rate(of, codes)
        if not rate:
            return Measured(0, rate_text(0))
        code = codes.most_common(1)[0][0]
        most *= rate / every
        text = f"{what}: {rate_text(rate)}"
        more = (f"on vCPU {busiest}: {rate_text(most)}",) if most > _UNEVEN * rate else ()
        timed = sum_latency(of, codes) if self.timed else None
        if not timed:
            return Measured(max(rate, most), text, rate * self.ns / 1e9, code=code, more=more)
        cost = timed.total / 1e9 / of.vcpu_seconds * min(rate / every, 1)
        return Measured(
            max(rate, most), text, cost, timed=True, code=code, more=(*more, latency_text(timed))
        )

    def _rate(self, of: Subject, codes: Counter[Code]) -> tuple[float, str]:
        """Return the rate of the exits that are meant, and their reasons or details in words."""
        if self.of.detail:
            texts = self.of.texts(of)
            seconds = of.details[self.of.detail].vcpu_seconds
            return (texts.total() / seconds, ranked(texts)) if texts and seconds else (0, "")
        names = Counter({arches.reason(*code).name: n for code, n in codes.items()})
        return max(codes.total() - self._minus(of), 0) / of.vcpu_seconds, ranked(names)

    def _minus(self, of: Subject) -> int:
        if not self.of.minus:
            return 0
        if of.events is None:
            raise Missing("KVM's events")
        return sum(n for label, n in of.events.items() if label.startswith(self.of.minus))


@attrs.frozen
class Fired:
    """Firings of tracepoints per vCPU-second: those with labels that begin like this."""

    labels: tuple[str, ...]
    what: str
    ns: int = KERNEL_NS
    unit: str = attrs.field(default=RATE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Measure the rate."""
        del least
        if of.events is None:
            raise Missing("KVM's events")
        known = [n for label, n in of.events.items() if label.startswith(self.labels)]
        if not known or not of.vcpu_seconds:
            return None
        rate = sum(known) / of.vcpu_seconds
        return Measured(rate, f"{self.what}: {rate_text(rate)}", rate * self.ns / 1e9)


@attrs.frozen
class Spent:
    """The share of the vCPUs' time in some states of :class:`kstats.model.VcpuTime`.

    Attributes:
        states: The states.
        words: A sentence to which the share is added.
        worst: Whether the number is that of the vCPU with the most, and not the mean.
    """

    states: tuple[str, ...]
    words: str
    worst: bool = False
    unit: str = attrs.field(default=SHARE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Measure the share."""
        del least
        if of.vcpu_time is None:
            raise Missing("vCPU times")
        shares = {vcpu: self._share(spent) for vcpu, spent in of.vcpu_time.items()}
        known = {vcpu: share for vcpu, share in shares.items() if share is not None}
        if not known:
            return None
        share = sum(known.values()) / len(known)
        worst = max(known, key=lambda vcpu: known[vcpu])
        uneven = known[worst] > _UNEVEN * share and of.vm
        more = (f"vCPU {worst}: {share_text(known[worst])}",) if uneven else ()
        text = f"{self.words} {share_text(share)} of the time"
        value = known[worst] if self.worst else share
        return Measured(value, text, share, timed=True, more=more)

    def _share(self, spent: VcpuTime) -> float | None:
        whole = sum(n for n in attrs.astuple(spent) if n)
        parts = [getattr(spent, state) for state in self.states]
        known = [n for n in parts if n is not None]
        return sum(known) / whole if known and whole else None


@attrs.frozen
class Took:
    """A percentile of the latency of exits, in nanoseconds, if they take time that matters.

    Attributes:
        of: Which exits.
        percent: Which percentile.
        fewest: How many exits there must be.
        least_cost: The share of the vCPUs' time that all of them must take.
    """

    of: Exits
    percent: int
    fewest: int = 20
    least_cost: float = 0.005
    unit: str = attrs.field(default=TIME, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Measure the percentile; 0 if the exits take too little time to matter."""
        del least
        codes = self.of.codes(of)
        if of.latency is None and codes:
            raise Missing("latencies")
        latency = sum_latency(of, codes)
        if not latency or latency.count < self.fewest or not of.vcpu_seconds:
            return None
        cost = latency.total / 1e9 / of.vcpu_seconds
        value = latency.percentile(self.percent) if cost >= self.least_cost else 0
        if value is None:  # a table of another tool: its times have no distribution
            raise Missing("latencies")
        slowest = max(codes, key=lambda code: _total(of, code))
        name = arches.reason(*slowest).name
        text = f"{name} and the like" if len(codes) > 1 else name
        text = f"{text}: {latency_text(latency)}"
        return Measured(value, text, cost, timed=True, code=slowest)


@attrs.frozen
class Happened:
    """The number of exits in the window."""

    of: Exits
    unit: str = attrs.field(default=COUNT, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Count them."""
        del least
        codes = self.of.codes(of)
        if not codes:
            return None
        names = Counter({arches.reason(*code).name: n for code, n in codes.items()})
        n = codes.total()
        text = f"{ranked(names)}: {n} exit{'s' * (n != 1)}"
        return Measured(n, text, code=codes.most_common(1)[0][0])


def sum_latency(of: Subject, codes: Iterable[Code]) -> Histogram | None:
    """Return the latency of the exits of these codes; None if none was measured."""
    known = [of.latency[code] for code in codes if of.latency and code in of.latency]
    return sum(known, Histogram()) if known else None


def _busiest(of: Subject, codes: Iterable[Code]) -> tuple[int | None, float]:
    """Return the vCPU with the most exits of these codes, and its rate."""
    wanted = tuple(codes)
    sums = {
        vcpu: sum([exits.get(code, 0) for code in wanted]) for vcpu, exits in of.vcpu_exits.items()
    }
    busiest = max(sums, key=lambda vcpu: sums[vcpu], default=None)
    return (None, 0) if busiest is None else (busiest, sums[busiest] / of.seconds)


def latency_text(latency: Histogram) -> str:
    """Return the median and the 99th percentile in words, or the mean, and the maximum."""
    median, most = latency.percentile(50), latency.percentile(99)
    if median is None or most is None:  # without a distribution
        usual = f"mean {duration(latency.total / latency.count)}"
    else:
        usual = f"median {duration(median)}, p99 {duration(most)}"
    return f"{usual}, longest {duration(latency.maximum)}"


def _total(of: Subject, code: Code) -> int:
    latency = (of.latency or {}).get(code)
    return latency.total if latency else 0


def ranked(counts: Mapping[str, int]) -> str:
    """Return the most frequent names, with their shares if there are several."""
    ranked = Counter(counts).most_common(_NAMED)
    whole = sum(counts.values())
    if len(counts) == 1 or not whole:
        return ranked[0][0]
    return ", ".join(f"{name} ({100 * n / whole:.0f} %)" for name, n in ranked)
