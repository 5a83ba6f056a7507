"""Signals of settings, memory, scheduling and KVM's own counters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import TypeVar

import attrs

from kstats import arch as arches
from kstats.facts.model import HostFacts, VmFacts
from kstats.why.evidence import Subject
from kstats.why.signals import (
    SHARE,
    VALUE,
    Exits,
    Measured,
    Missing,
    Spent,
    rate_text,
    share_text,
)

_FACTS, _COUNTERS = "facts about host and VM", "KVM's counters"
_SWITCHES = {"Y": 1, "N": 0}
_GIB = 1 << 30

T = TypeVar("T")


@attrs.frozen
class Parameter:
    """The first parameter of a KVM module that has one of these names; a switch is 1 or 0."""

    names: tuple[str, ...]
    unit: str = attrs.field(default=VALUE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return its value; None if no module has it."""
        del least
        for name, text in _known(of.settings).parameters.items():
            module, _, parameter = name.partition(".")
            if parameter in self.names:
                value = _SWITCHES.get(text) if text in _SWITCHES else _number(text)
                return (
                    None if value is None else Measured(value, f"{module} has {parameter}={text}")
                )
        return None


@attrs.frozen
class Setting:
    """A fact about the host that is a number or a switch, in words with ``{value}``."""

    name: str
    words: str
    unit: str = attrs.field(default=VALUE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return its value."""
        del least
        return _fact(_known(of.settings), self.name, self.words)


@attrs.frozen
class Chosen:
    """Whether a fact about the host is one of some texts, 1 or 0."""

    name: str
    among: tuple[str, ...]
    words: str
    unit: str = attrs.field(default=VALUE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return whether it is."""
        del least
        value = getattr(_known(of.settings), self.name)
        if value is None:
            return None
        return Measured(float(value in self.among), self.words.format(value=value))


@attrs.frozen
class OfVm:
    """A fact about the VM that is a number or a switch, in words with ``{value}``."""

    name: str
    words: str
    unit: str = attrs.field(default=VALUE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return its value."""
        del least
        return _fact(_known(of.facts), self.name, self.words)


@attrs.frozen
class SmallPages:
    """The share of a VM's memory that is not in huge pages, of VMs of a GiB or more."""

    unit: str = attrs.field(default="share of memory", init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the share."""
        del least
        facts = _known(of.facts)
        pages = facts.guest_pages
        whole = sum(pages.values())
        if whole < _GIB:
            huge, hugetlb = facts.huge, facts.hugetlb or 0
            if huge is None or facts.resident is None:
                return None
            whole, small = facts.resident + hugetlb, facts.resident - huge
        else:
            small = pages.get("4k", 0)
        if whole < _GIB:
            return None
        share = max(small, 0) / whole
        return Measured(share, f"{share_text(share)} of {whole / _GIB:.1f} GiB are in small pages")


@attrs.frozen
class Swapped:
    """The share of a VM's memory that is in swap."""

    unit: str = attrs.field(default="share of memory", init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the share."""
        del least
        facts = _known(of.facts)
        swapped, resident = facts.swapped, facts.resident
        if swapped is None or resident is None or not swapped + resident:
            return None
        share = swapped / (swapped + resident)
        return Measured(share, f"{share_text(share)} of the VM's memory are in swap")


@attrs.frozen
class Scheduled:
    """A counter of :class:`kstats.facts.model.Scheduling`, per second, of the worst vCPU.

    Of a counter of nanoseconds, that is a share of time; ``ns`` is what one of another counter
    costs.
    """

    name: str
    words: str
    ns: float = 1

    @property
    def unit(self) -> str:
        """The unit of its numbers."""
        return SHARE if self.ns == 1 else "per second and vCPU"

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the rate."""
        del least
        rates = [
            getattr(one, self.name) / one.observed
            for one in _known(of.scheduling).values()
            if one.observed and getattr(one, self.name) is not None
        ]
        if not rates:
            return None
        mean = sum(rates) / len(rates)
        if self.ns == 1:
            text = f"{self.words} {share_text(max(rates))} of the time"
            return Measured(max(rates), text, mean, timed=True)
        text = f"{self.words}: {max(rates) * 1e9:,.1f} per second and vCPU"
        return Measured(max(rates) * 1e9, text, mean * self.ns)


@attrs.frozen
class Waits:
    """The share of time in which the worst vCPU could run but waits for a CPU.

    From the time of vCPUs, else from the scheduler's statistics.
    """

    unit: str = attrs.field(default=SHARE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the share."""
        spent = Spent(("waiting",), "vCPUs are runnable but wait for a CPU", worst=True)
        try:
            return spent.measure(of, least)
        except Missing:
            if of.scheduling is None:
                raise
        return Scheduled("delayed", "vCPUs are runnable but wait for a CPU").measure(of, least)


@attrs.frozen
class OfHost:
    """A counter of the host, as a share of the time of all CPUs (``cpu``) or of the clock.

    With ``per_second`` the number is a rate.
    """

    name: str
    words: str
    of_cpus: bool = False
    per_second: bool = False
    unit: str = attrs.field(default=SHARE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the share or the rate."""
        del least
        counters = _known(of.host_counters)
        n, whole = getattr(counters, self.name), counters.observed
        if self.of_cpus:
            whole = counters.cpu
        if n is None or not whole:
            return None
        if self.per_second:
            rate = n / whole * 1e9
            return Measured(rate, f"{self.words}: {rate:,.0f} per second")
        return Measured(n / whole, f"{self.words} {share_text(n / whole)} of the time")


@attrs.frozen
class Kept:
    """One of KVM's own counters, per vCPU-second; of nanoseconds, that is a share of time.

    Attributes:
        name: Its name.
        words: What it counts, in words.
        ns: What one of another counter costs; 1 if it counts nanoseconds.
    """

    name: str
    words: str
    ns: float = 1

    @property
    def unit(self) -> str:
        """The unit of its numbers."""
        return SHARE if self.ns == 1 else "per vCPU-second"

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the share or the rate."""
        del least
        if of.counters is None or not of.counters.get("observed"):
            raise Missing(_COUNTERS)
        if self.name not in of.counters:
            return None
        share = of.counters[self.name] / of.counters["observed"] / of.vcpus
        if self.ns != 1:
            rate = share * 1e9
            return Measured(rate, f"{self.words}: {rate:,.1f} per vCPU-second", share * self.ns)
        return Measured(share, f"{self.words} {share_text(share)} of the time", share, timed=True)


@attrs.frozen
class Succeeded:
    """The share of attempts that KVM counted as successful."""

    attempts: str
    successes: str
    words: str
    unit: str = attrs.field(default="share of attempts", init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the share; None without attempts."""
        del least
        counters = of.counters or {}
        tried = counters.get(self.attempts, 0)
        if not tried:
            return None
        share = counters.get(self.successes, 0) / tried
        return Measured(share, f"{share_text(share)} of {tried} {self.words}")


@attrs.frozen
class DeviceInterrupts:
    """Interrupts per second of the device that has most on one CPU, of CPUs with exits."""

    unit: str = attrs.field(default="per second", init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the rate; None if interrupts were not read, or no device had any."""
        del least
        observed = of.host_counters.observed if of.host_counters else None
        counts = [
            (n, source, cpu)
            for source, cpus in of.interrupts.items()
            if source.startswith("IRQ ")
            for cpu, n in cpus.items()
            if cpu in of.cpu_exits
        ]
        if not counts or not observed:
            return None
        n, source, cpu = max(counts)
        rate = n / observed * 1e9
        return Measured(rate, f"{source}: {rate:,.0f} interrupts per second on CPU {cpu}")


@attrs.frozen
class Governors:
    """The share of CPUs that cpufreq does not keep at full speed."""

    unit: str = attrs.field(default="share of CPUs", init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the share; None without cpufreq."""
        del least
        found = _known(of.settings).governors
        whole = sum(found.values())
        if not whole:
            return None
        slower = {name: n for name, n in found.items() if name != "performance"}
        names = ", ".join(f"{name} on {n}" for name, n in sorted(slower.items()))
        return Measured(sum(slower.values()) / whole, f"cpufreq's governor is {names} CPUs")


@attrs.frozen
class Overcommit:
    """How many vCPUs the VMs have for each CPU of the host."""

    unit: str = attrs.field(default="vCPUs per CPU", init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the ratio."""
        del least
        if not of.cpus or not of.host_vcpus:
            return None
        text = f"the host has {of.host_vcpus} vCPUs on {of.cpus} CPUs"
        return Measured(of.host_vcpus / of.cpus, text)


@attrs.frozen
class Pinned:
    """Whether the vCPUs may run on fewer CPUs than the host has, 1 or 0."""

    unit: str = attrs.field(default=VALUE, init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return whether they are pinned."""
        del least
        lists = sorted(_known(of.affinity or None))
        more = f" and {len(lists) - 3} other lists" if len(lists) > 3 else ""
        text = f"its vCPUs may run on CPUs {' or '.join(lists[:3])}{more}"
        return Measured(float(max(map(_count, lists)) < of.cpus), text)


@attrs.frozen
class Uneven:
    """Exits per second on the CPU that has most of them, if it has far more than the others.

    Attributes:
        of: Which exits.
        ratio: How many times the median of the CPUs with guests it must have.
        fewest: CPUs with guests that there must be.
    """

    of: Exits
    ratio: float = 4
    fewest: int = 4
    unit: str = attrs.field(default="exits per second on a CPU", init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return the rate of that CPU; 0 if all CPUs are alike."""
        del least
        if not of.vcpu_seconds:
            raise Missing("rates")
        codes = self.of.codes(of)
        rates = {
            cpu: sum(n for code, n in exits.items() if code in codes) / of.seconds
            for cpu, exits in of.cpu_exits.items()
        }
        if not codes or len(rates) < self.fewest:
            return None
        cpu = max(rates, key=lambda cpu: rates[cpu])
        usual = median(rates.values())
        if rates[cpu] < self.ratio * usual:
            return Measured(0, "")
        names = ", ".join(sorted({arches.reason(*code).name for code in codes}))
        text = f"CPU {cpu}: {rates[cpu]:,.0f} exits by {names} per second"
        more = (f"half of the CPUs have {usual:,.0f} or less",)
        code = codes.most_common(1)[0][0]
        return Measured(rates[cpu], text, code=code, more=more)


@attrs.frozen
class Grown:
    """The reason that grew most against another recording: its rate, and how many times.

    Attributes:
        fewest: How many more exits per vCPU-second it must have.
    """

    fewest: float
    unit: str = attrs.field(default="times the highest rate of the other recording", init=False)

    def measure(self, of: Subject, least: float = 0) -> Measured | None:
        """Return how many times; 1000 if the other recording has none."""
        del least
        if of.before is None or not of.vcpu_seconds:
            return None
        before = of.before
        more = {c: r for c, r in of.rates.items() if r - before.get(c, 0) >= self.fewest}
        if not more:
            return None
        times = {
            code: min(rate / (before.get(code, 0) or 1e-9), 1000) for code, rate in more.items()
        }
        code = max(times, key=lambda code: (times[code], more[code]))
        texts = Counter({self._text(one, more[one], before): round(more[one]) for one in more})
        first = self._text(code, more[code], before)
        rest = tuple(text for text, _ in texts.most_common(4) if text != first)
        return Measured(times[code], first, code=code, more=rest)

    def _text(
        self, code: tuple[str, int], rate: float, before: Mapping[tuple[str, int], float]
    ) -> str:
        was = before.get(code, 0)
        then = f"at most {was:,.0f}" if was else "none"
        return f"{arches.reason(*code).name}: {rate_text(rate)}, in the other recording {then}"


def _known(value: T | None) -> T:
    """Return what has been read; raise Missing if it has not."""
    if value is None:
        raise Missing(_FACTS)
    return value


def _fact(facts: HostFacts | VmFacts, name: str, words: str) -> Measured | None:
    value = getattr(facts, name)
    return None if value is None else Measured(float(value), words.format(value=value))


def _number(text: str) -> float | None:
    return float(text) if text.lstrip("-").isdecimal() else None


def _count(cpus: str) -> int:
    """Return how many CPUs a list such as ``0-3,8`` has."""
    total = 0
    for part in cpus.split(","):
        found = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part, re.ASCII)
        if found:
            total += int(found[2] or found[1]) - int(found[1]) + 1
    return total
