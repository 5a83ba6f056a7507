"""The chapter on one recording: pictures, and the same information in words and tables."""

from __future__ import annotations

from collections.abc import Iterator

from kstats.model import Code
from kstats.report import texts
from kstats.report.cpus import Cpus
from kstats.report.findings import Finding, findings
from kstats.report.gather import Gathered
from kstats.report.latencies import Latencies
from kstats.report.over_time import OverTime
from kstats.report.rankings import Rankings
from kstats.report.slow import Slow
from kstats.report.states import States
from kstats.report.subject import Subject
from kstats.report.texts import duration, moment, number, rate
from kstats.views import losses

_MOST_NOTES = 10


class Chapter:
    """One recording; ``place`` is its index on the page."""

    def __init__(self, place: int, gathered: Gathered) -> None:
        """Prepare the sections."""
        self.anchor = f"r{place}"
        self.title = gathered.label
        self.bins = gathered.bins
        self.subject = Subject(gathered, self.anchor)
        self.over_time = OverTime(self.subject)
        self.cpus = Cpus(self.subject)
        self.rankings = Rankings(self.subject)
        self.latencies = Latencies(self.subject)
        self.states = States(self.subject)
        self.slow = Slow(self.subject)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.bins

    @property
    def facts(self) -> dict[str, str]:
        """Facts about the host and the recording by heading."""
        aggregate = self.subject.of.aggregate
        ours = {
            "exits of": ", ".join(aggregate.isas),
            "CPUs": str(aggregate.cpus),
            "vCPUs": "unknown"
            if self.subject.vcpus is None
            else f"{number(self.subject.vcpus)} on average",
            "recorded": texts.span(aggregate.begin, aggregate.end),
            "samples": f"{self.subject.samples} in {duration(self.subject.seconds)}",
            "exits": f"{self.subject.exits:,}",
        }
        return {**self.subject.of.facts, **ours}

    @property
    def findings(self) -> list[Finding]:
        """What matters, in words."""
        return list(findings(self.subject.of, self.subject.vm_names))

    @property
    def tiles(self) -> Iterator[tuple[str, str, str]]:
        """The key figures as (title, figure, remark)."""
        mean = self.subject.exits / self.subject.seconds if self.subject.seconds else 0.0
        yield (
            "exits per second",
            rate(mean),
            f"{self.subject.exits:,} in {duration(self.subject.seconds)}",
        )
        if self.subject.vcpus:
            yield (
                "per vCPU-second",
                rate(mean / self.subject.vcpus),
                f"{number(self.subject.vcpus)} vCPUs",
            )
        highest = self.subject.of.highest.get(None)
        if highest:
            at = max(highest, key=lambda at: highest[at])
            yield "busiest sample, per second", rate(highest[at]), moment(self.bins.starts[at])
        for code, n in self.subject.of.exits.most_common(1):
            share = f"{100 * n / self.subject.exits:.1f} % of all exits"
            yield "most frequent reason", self.subject.of.name(code), share

    @property
    def codes(self) -> list[Code]:
        """The codes that the chapter names, to be explained."""
        ranked = [rank.code for rank in self.rankings.reasons.ranks]
        vms = self.rankings.vms.ranks if self.rankings.vms else ()
        tops = [code for rank in vms for code, _ in rank.links]
        found = [finding.code for finding in self.findings]
        timed = [code for code, _ in self.latencies.sums()]
        return [code for code in (*ranked, *tops, *found, *timed) if code]

    @property
    def notes(self) -> list[str]:
        """The losses and the notes of the recording."""
        said = [
            f"{note} ({times} times)" if times > 1 else note
            for note, times in self.subject.of.notes.most_common(_MOST_NOTES)
        ]
        more = len(self.subject.of.notes) - _MOST_NOTES
        rest = [f"and {more} more notes"] if more > 0 else []
        late = duration(self.bins.set_back)
        clock = [f"the clock was set back: later samples are drawn {late} late"]
        lost = losses.sentences(self.subject.of.aggregate.losses)
        return [*lost, *(clock if self.bins.set_back else []), *said, *rest]
