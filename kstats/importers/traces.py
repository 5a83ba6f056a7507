r"""Read traces of kvm:kvm_exit and kvm:kvm_entry: perf script, ftrace, trace-cmd report.

::

        CPU 0/KVM  1234 [003]  5123.250123: kvm:kvm_exit: vcpu 0 reason HLT rip 0x…   perf script
        CPU 0/KVM  1230/1234 [003]  5123.250123123: kvm:kvm_exit: …       … -F pid,tid --ns
        CPU 0/KVM-1234    [003] d....  5123.250123: kvm_exit: …                       ftrace
        CPU 0/KVM-1234    (   1230) [003] d....  5123.250123: kvm_exit: …   … record-tgid
        CPU 0/KVM-1234  [003]  5123.250123: kvm_exit:   reason EXIT_HLT rip 0x…       trace-cmd

trace-cmd's plugin knows only the events of x86; on others it reports missing fields in each line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import attrs

from kstats.arch.base import Isa
from kstats.importers.evidence import Clue, Fit, fit
from kstats.importers.lines import Line, Problems
from kstats.importers.sample_builder import NO_CPU, NO_THREAD, SampleBuilder
from kstats.model import Sample

_PERF = re.compile(
    r"\s*(?:(?P<comm>\S.{0,63}?)\s+(?:(?P<pid>\d{1,10})/)?(?P<tid>\d{1,10})\s+)?"
    r"(?:\[(?P<cpu>\d{1,5})\]\s+)?(?:(?P<time>\d{1,11}\.\d{1,9}):\s+)?(?:\d{1,20}\s+)?"
    r"(?P<event>[\w-]{1,64}:\w{1,64}):\s*(?P<text>.*)",
    re.ASCII,
)
_FTRACE = re.compile(
    r"\s*(?P<comm>\S.{0,63}?)-(?P<tid>\d{1,10})\s+(?:\(\s*(?P<pid>\d{1,10}|-{1,10})\)\s+)?"
    r"\[(?P<cpu>\d{1,5})\]\s+(?:[A-Za-z.#][\w.#]{3,6}\s+)?(?P<time>\d{1,11}\.\d{1,9}):\s+"
    r"(?P<event>\w{1,64}):\s*(?:<CANT FIND FIELD \w{1,64}>)?(?P<text>.*)",
    re.ASCII,
)
_LOST = re.compile(
    r"\s*CPU:?\s?\d+ \[(?:LOST (\d{1,18}) EVENTS|(\d{1,18}) EVENTS DROPPED)\]", re.ASCII
)
_KEPT = re.compile(r"# entries-in-buffer/entries-written: (\d{1,18})/(\d{1,18})\b", re.ASCII)
# Lines without events: call chains, and comments of the tools.
_IGNORED = re.compile(r"\s*(?:$|#|[0-9a-f]{4,16}\s|cpus=\d+$|version = |CPU \d+ is empty$)")

_EXIT, _ENTRY = "kvm_exit", "kvm_entry"


def fits_perf(text: str) -> bool:
    """Return whether this is a line of ``perf script`` with a KVM event."""
    match = _PERF.fullmatch(text)
    return match is not None and _event(match) in (_EXIT, _ENTRY)


def fits_ftrace(text: str) -> bool:
    """Return whether this is a line of ftrace or trace-cmd with a KVM event."""
    match = _FTRACE.fullmatch(text)
    return match is not None and _event(match) in (_EXIT, _ENTRY)


def clues(lines: Iterable[Line], isas: tuple[Isa, ...]) -> Iterator[Clue]:
    """Yield a clue for each exit; the spelling decides, because kernels do not vary it."""
    for line in lines:
        match = _PERF.fullmatch(line.text) or _FTRACE.fullmatch(line.text)
        if match is not None and _event(match) == _EXIT:
            found = ((isa.name, _fit(isa, match["text"])) for isa in isas)
            yield Clue({isa: how for isa, how in found if how is not None})


def _fit(isa: Isa, text: str) -> Fit | None:
    event = re.match(isa.event.pattern, text) if isa.event else None
    code = isa.event.code(isa, event) if isa.event and event else None
    if event is None or code is None or code not in isa.reasons:
        return None
    printed = event.groupdict().get("name")
    if printed is None:  # no other ISA prints such a text
        return Fit.CERTAIN
    how = fit(isa, printed)
    # Before they printed info, kernels had names in lower case on VMX as on SVM.
    is_old = printed.islower() and " info" not in text
    return Fit.CERTAIN if how is Fit.EXACT and not is_old else how


def _code_and_vcpu(isa: Isa, text: str) -> tuple[int | None, int | None]:
    """Return what the text of a kvm_exit event contains; None for what it does not."""
    match = re.match(isa.event.pattern, text) if isa.event else None
    if isa.event is None or match is None:
        return None, None
    vcpu = match.groupdict().get("vcpu")
    return isa.event.code(isa, match), None if vcpu is None else int(vcpu)


def _event(match: re.Match[str]) -> str:
    return match["event"].rpartition(":")[2]


@attrs.define
class _Clock:
    """The clock of a trace. Samples end at multiples of ``interval`` after the first event."""

    interval: float | None
    first: float | None = None
    start: float = 0.0
    last: float = 0.0

    def ends(self, time: float) -> tuple[float, float] | None:
        """Return end and length of the sample that ends before ``time``; None if none does."""
        if self.first is None:
            self.first = self.start = self.last = time
        if self.interval is None or time < self.start + self.interval:
            self.last = max(self.last, time)
            return None
        passed = (time - self.first) // self.interval
        start, self.start = self.start, max(self.first + passed * self.interval, self.start)
        self.last = max(self.last, time)
        return self.start, self.start - start

    def rest(self) -> tuple[float, float]:
        """Return end and length of the last sample."""
        return self.last, self.last - self.start


class _Reader:
    """Reader of one trace."""

    def __init__(
        self, pattern: re.Pattern[str], isa: Isa, problems: Problems, slower_than: int | None
    ) -> None:
        self._pattern = pattern
        self._isa = isa
        self._problems = problems
        self._slower_than = slower_than
        self._open: dict[int, tuple[float, int, int, int]] = {}
        self.builder = SampleBuilder(isa)

    def match(self, line: Line) -> re.Match[str] | None:
        """Return the event of a line; account for a line without one, and return None."""
        match = self._pattern.fullmatch(line.text) if line.whole else None
        if match is None:
            self._account(line)
        return match

    def _account(self, line: Line) -> None:
        if lost := _LOST.match(line.text):
            self._problems.lost += int(lost[1] or lost[2])
            self._open.clear()  # their entries may be among the lost
        elif kept := _KEPT.match(line.text):
            self._problems.lost += max(int(kept[2]) - int(kept[1]), 0)
        elif not line.whole or not _IGNORED.match(line.text):
            self._problems.add(line)

    def count(self, line: Line, match: re.Match[str]) -> None:
        """Count an entry or exit; ignore other events."""
        event = _event(match)
        cpu = NO_CPU if match["cpu"] is None else int(match["cpu"])
        if event == _ENTRY:
            self.builder.entries(cpu)
            self._close(match)
        elif event == _EXIT:
            self._exit(line, match, cpu)

    def _exit(self, line: Line, match: re.Match[str], cpu: int) -> None:
        code, vcpu = _code_and_vcpu(self._isa, match["text"])
        if code is None:
            self._problems.add(line, exits=1)
        else:
            thread = self._thread(match, vcpu)
            self.builder.exits(code, cpu=cpu, thread=thread)
            if self._slower_than is not None and match["time"] and match["tid"]:
                self._open[int(match["tid"])] = float(match["time"]), code, cpu, thread

    def _close(self, match: re.Match[str]) -> None:
        """Keep the last exit of the thread that enters, if it took long enough."""
        if self._slower_than is None or match["tid"] is None or match["time"] is None:
            return
        last = self._open.pop(int(match["tid"]), None)
        if last:
            began, code, cpu, thread = last
            ended = float(match["time"])
            ns = round((ended - began) * 1e9)
            if ns > self._slower_than:
                self.builder.slow(ended, code, cpu, thread, ns)

    def _thread(self, match: re.Match[str], vcpu: int | None) -> int:
        if match["tid"] is None:
            return NO_THREAD
        pid = match["pid"] or ""  # ftrace prints dashes for an unknown process
        return self.builder.thread(
            int(pid) if pid.isdigit() else 0, int(match["tid"]), match["comm"], vcpu
        )


def read_perf(
    lines: Iterable[Line],
    isa: Isa,
    problems: Problems,
    interval: float | None,
    slower_than: int | None = None,
) -> Iterator[Sample]:
    """Yield the samples in the output of ``perf script``."""
    return _read(_Reader(_PERF, isa, problems, slower_than), lines, interval)


def read_ftrace(
    lines: Iterable[Line],
    isa: Isa,
    problems: Problems,
    interval: float | None,
    slower_than: int | None = None,
) -> Iterator[Sample]:
    """Yield the samples in the text of ftrace or trace-cmd."""
    return _read(_Reader(_FTRACE, isa, problems, slower_than), lines, interval)


def _read(reader: _Reader, lines: Iterable[Line], interval: float | None) -> Iterator[Sample]:
    clock = _Clock(interval)
    for line in lines:
        match = reader.match(line)
        if match is None:
            continue
        if match["time"] is not None:
            over = clock.ends(float(match["time"]))
            if over and not reader.builder.is_empty:
                yield reader.builder.sample(*over)
        reader.count(line, match)
    if not reader.builder.is_empty:
        yield reader.builder.sample(*clock.rest())
