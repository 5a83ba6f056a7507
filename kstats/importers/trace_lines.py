r"""Find the events kvm_exit and kvm_entry in traces, as tools print them and people paste them.

::

        CPU 0/KVM  1234 [003]  5123.250123: kvm:kvm_exit: vcpu 0 reason HLT rip 0x…   perf script
        CPU 0/KVM  1230/1234 [003]  5123.250123123: kvm:kvm_exit: …       … -F pid,tid --ns
     0.100 CPU 0/KVM/1234 kvm:kvm_exit(exit_reason: 12, isa: 1, …)                    perf trace
        CPU 0/KVM-1234    [003] d....  5123.250123: kvm_exit: …                       ftrace
        CPU 0/KVM-1234    (   1230) [003] d....  5123.250123: kvm_exit: …   … record-tgid
        CPU 0/KVM-1234      3d..1    12us : kvm_exit: …                   … latency-format
        CPU 0/KVM-1234  [003]  5123.250123: kvm_exit:   reason EXIT_HLT rip 0x…       trace-cmd

Only the event and its text must be there. What precedes them is read from right to left, and each
field is optional. Quote marks, line numbers, wall-clock times and names of files may precede a
line, and a line may be wrapped at any column: an event has the lines after it as ``pieces``, and a
prefix without a thread is continued to the left by the line before it.

Every pattern takes linear time, or is applied to a bounded part of a line.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce
from itertools import takewhile

import attrs

from kstats.importers.lines import Line, Problems
from kstats.importers.sample_builder import NO_CPU

EXIT, ENTRY = "exit", "entry"

MOST_PIECES = 3
"""The lines after an event that can belong to it."""

_LONGEST_PREFIX = 160
_LONGEST_TIME = 80
_LONGEST_NAME = 16
_LONGEST_COMM = 15
_MOST_JUNK = 4
_MOST_DIGITS = 18
_PADDED = 100
"""perf prints lower thread IDs after more than one blank."""

_DIGITS = frozenset("0123456789.")
HIGHEST_TID = 1 << 22  # the limit of kernel.pid_max
HIGHEST_CPU = 1 << 16
_LOWEST_TID = 300
"""Lower thread IDs are of the first threads after a boot; the kernel never assigns them again."""

_BLANKS = dict.fromkeys(map(ord, "\t\u00a0\u2002\u2003\u2007\u2009\u202f\u3000\udca0"), " ")
_NOTHING = dict.fromkeys(map(ord, "\r\ufeff\u200b\u00ad"), "")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "))
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MARKS = frozenset(">|-=+*")
_QUOTE = re.compile(r"[\s>|]*[>|]\s?|\s*[-=]+>\s|\s*[+*-]\s")

_NAME = re.compile(
    r"(?<![\w@])(?P<perf>kvm:)?kvm_(?:x86_)?(?P<event>exit|entry)(?:\s?:|\((?=\w+[:=] ?\w))",
    re.ASCII,
)
_TEXT = re.compile(
    r"(?:^|(?<=\s))(?:(?=(?:vcpu \d+ )?reason [\w ()-]{1,60} rip 0x|\w{1,20}: HSR_EC: 0x)"
    r"|(?P<entry>(?=vcpu \d+, rip 0x[0-9a-f]+\s*$)))",
    re.ASCII,
)
_WHOLE_TEXT = re.compile(r" rip 0x| info | info1 |HSR_EC: 0x|vcpu \d+$", re.ASCII)
# A word or a number of 16 digits that goes on after the line break.
_TORN = re.compile(
    r" (?:i(?=\nnfo)|in(?=\nfo)|inf(?=\no)|info(?=\n[12] 0x)"
    r"|info1 0(?:x[0-9a-f]{0,15})?(?=\n[0-9a-fx]))",
    re.ASCII,
)
_FIELD = re.compile(r"(?:^|(?<=[\s,:({\[]))(?=(?:exit_)?reason ?[=:] ?[\w-])", re.ASCII)
_FIGURE = re.compile(r"%|@|->|\b(?:hit)?count\b")

_OTHER_EVENT = re.compile(
    r"(?:^|\s)(?!kvm:(?:kvm_\w*)?$)[a-z][\w-]{2,63}(?::\w{1,64})?:(?:\s|$)|\s<-\w", re.ASCII
)
_IGNORED = re.compile(
    r"\s+[0-9a-f]{4,16}(?:\s|$)"
    r"|\s*(?:$|#|(?:\S{1,60}:\s+)?cpus=\d+$|version = |CPU \d+ is empty$|=> )"
)
_LOST = re.compile(
    r"\s*(?:CPU:?\s?\d+:? \[(?:LOST )?(?:(\d{1,18}) )?EVENTS(?: DROPPED)?\]|LOST (\d{1,18}) events"
    r"|.{0,160}PERF_RECORD_LOST(?:_SAMPLES)?:? lost (\d{1,18})"
    r"|Processed \d{1,18} events and lost \d{1,18} chunks)",
    re.ASCII,
)
_KEPT = re.compile(r"# entries-in-buffer/entries-written: (\d{1,18})/(\d{1,18})\b", re.ASCII)

_HAS_NUMBER = re.compile(r"\d")
_MISSING = re.compile(
    r"\[FAILED TO PARSE\]|<CANT FIND FIELD \w{1,64}>|CAN'T FIND FIELD \"\w{1,64}\"", re.ASCII
)

_PREFIX = re.compile(
    r"(?P<rest>.*?)"
    r"(?:(?:^|\s)\(\s?(?P<tgid>\d{1,10}|-{1,10})\))?"
    r"(?:(?:^|\s)[A-Za-z.][A-Za-z.#\d]{3,7}(?=\s\[))?"
    r"(?:(?:^|\s)(?:\[(?P<cpu>\d{1,20})\](?:\s[A-Za-z.#-][\w.#-]{2,8})?"
    r"|(?P<latency_cpu>\d{1,5})[A-Za-z.][A-Za-z.#\d]{3,5}))?"
    r"\s?",
    re.ASCII,
)
# The number after the time is the period of perf's event.
_TIME = re.compile(
    r"(?<!\S)(?P<time>\d{1,20}(?:\.\d{1,9})?)(?P<unit>us|ms)?[!+#*@$]?\s?:"
    r"(?:\s{1,9}\(\+[\w.]{1,20}\))?(?:\s{1,20}\d{1,20})?\s{0,60}(?:kvm:)?$",
    re.ASCII,
)
_PRINTK = re.compile(r"(?<!\S)(?:bpf_trace_printk|tracing_mark_write|0x[0-9a-f]{8})\s?:")
_UNITS = {None: 1.0, "us": 1e-6, "ms": 1e-3}
_PERF_TRACE = re.compile(
    r"(?:.*\s)?(?:(?P<ms>\d{1,15}\.\d{3})|\?) (?:\([\s\d.ms]*\):? )?"
    r"(?P<comm>\S.*)/(?P<tid>\d{1,10})",
    re.ASCII,
)
_TASK = re.compile(
    r"(?P<comm>.*?)(?:(?<=\S)-|(?:^|\s)(?:(?P<pid>\d{1,10})/)?)(?P<tid>\d{1,10})", re.ASCII
)
_NUMBERED_COMM = re.compile(r".*(?:^|\s)(?P<comm>CPU \d+/KVM|fc_vcpu \d+)", re.ASCII)
# The latency format prints only eight characters; a line may begin within a name.
_TORN_COMM = re.compile(r".*?(\d{1,5})/K(?:VM?)?", re.ASCII)
_FIRST_NUMBER = re.compile(r"\d{1,18}(?=\s+[A-Za-z<]|$)", re.ASCII)
_UNKNOWN_COMM = re.compile(r"<\.\.\.>|:-?\d+|<unknown>", re.ASCII)
_JUNK = re.compile(
    r"(?:(?:\d{4}-\d\d-\d\d[T ])?\d\d?:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\s"
    r"|\[[\d :.T+-]*\]\s|[|>*+-]+\s|[\w./-]+:(?:\d+:)?\s|[\w./-]+:\d+:"
    r"|\d+[.:)\]]|\d+\s(?=[^\d/]))\s?",
    re.ASCII,
)
_PART_OF_PREFIX = re.compile(r"\[\d{1,5}\]?|\d:$|-\d{1,10}$|\d\.\d{1,9}$|kvm:$", re.ASCII)


class Style(enum.Enum):
    """How events are recognized: by their name; also by their text; or by ``reason=``."""

    FTRACE = enum.auto()
    PERF = enum.auto()
    PRINTED = enum.auto()


@attrs.frozen
class Lost:
    """Events that the tracer dropped; ``count`` is None if it does not say how many."""

    count: int | None


@attrs.frozen
class Task:
    """The thread and the CPU of an event.

    Attributes:
        comm: The thread's name; empty if unknown.
        pid: Its process; 0 if unknown.
        tid: The thread; None if unknown.
        cpu: The CPU, or NO_CPU.
    """

    comm: str = ""
    pid: int = 0
    tid: int | None = None
    cpu: int = NO_CPU


TICKS = -1.0
"""The time of an event in a trace with a clock that does not count seconds."""


@attrs.define
class Event:
    """An event of a trace.

    Attributes:
        line: The line that has the event.
        name: :data:`EXIT` or :data:`ENTRY`.
        task: Where it happened.
        time: When it happened, in seconds; or :data:`TICKS`; None if the trace has no times.
        text: What follows its name, with single blanks.
        count: How many such events there were, by ``uniq -c``.
        pieces: The lines after it that may be the rest of the text.
    """

    line: Line
    name: str
    task: Task
    time: float | None
    text: str
    count: int = 1
    pieces: tuple[str, ...] = ()

    def take_count(self, before: str) -> None:
        """Take a number alone before an event for its count, not for its thread."""
        number = before.strip()
        if number.isdigit() and number.isascii() and len(number) <= _MOST_DIGITS:
            self.count, self.task = int(number) or 1, Task()

    def texts(self) -> Iterator[str]:
        """Yield the text as it may continue on the next lines: what is most likely first."""
        is_torn = self.pieces and _TORN.search(f"{self.text[-30:]}\n{self.pieces[0][:30]}")
        for count in range(len(self.pieces), 0, -1):
            parts = (self.text, *self.pieces[:count])
            wrapped, torn = " ".join(parts), "".join(parts)
            yield from (torn, wrapped) if is_torn else (wrapped, torn)
        yield self.text


def is_perf(text: str) -> bool:
    """Return whether a line has an event as perf prints it."""
    found = _search(clean(text), Style.PERF)
    return found is not None and (found.re is _TEXT or found["perf"] is not None)


def is_ftrace(text: str) -> bool:
    """Return whether a line has an event as ftrace and trace-cmd print it."""
    plain = clean(text)
    found = _search(plain, Style.FTRACE)
    if found is None or found["perf"]:
        return False
    # After cut, uniq -c leaves a list of reasons.
    is_counted = plain[: found.start()].strip().isdigit()
    return not is_counted or _WHOLE_TEXT.search(plain, found.end()) is not None


def are_counted(lines: Iterable[Line]) -> bool:
    """Return whether events have their count in front, by uniq -c, and not their thread.

    A count alone in front of an event of ftrace is read with the event.
    """
    numbers: list[int] = []
    seen: set[str] = set()
    is_alone = True
    for line in lines:
        text = clean(line.text).strip()
        found = _search(text, Style.PERF) or _search(text, Style.PRINTED)
        if found is None:
            continue
        before = text[: found.start()].strip()
        first = _FIRST_NUMBER.match(before)
        if first is None or text[first.end() :] in seen or _where(before)[1] is not None:
            return False
        is_ftrace = found.re is _NAME and not found["perf"]
        if is_ftrace and first[0] == before and not numbers:
            return False
        is_alone = is_alone and first[0] == before
        seen.add(text[first.end() :])
        numbers.append(int(first[0]))
    different = len({*numbers})
    falls = numbers == sorted(numbers, reverse=True)
    if not is_alone:  # rising numbers are those of the lines
        return falls and different > 1
    return (falls and different > 2) or min(numbers, default=_LOWEST_TID) < _LOWEST_TID


def is_printed(text: str) -> bool:
    """Return whether a line has an exit reason as ``reason=48``, and no count of exits."""
    found = _search(clean(text), Style.PRINTED)
    return found is not None and found.re is _FIELD


def events(lines: Iterable[Line], style: Style, problems: Problems) -> Iterator[Event | Lost]:
    """Yield the events of a trace in their order; report lines that belong to no event."""
    assembler = _Assembler(style, problems)
    for line in lines:
        yield from assembler.take_whole(line) or assembler.take(line)
    yield from assembler.finish()


class _Assembler:
    """Puts events together from lines; an event is complete when something else begins."""

    def __init__(self, style: Style, problems: Problems) -> None:
        self._style = style
        self._problems = problems
        self._event: Event | None = None
        self._is_other = False
        """Whether the last line had an event of no interest, which may go on, too."""
        self._loose: list[Line] = []
        """Lines after the event that may belong to it, or to the next one."""

    def take_whole(self, line: Line) -> tuple[Event, ...]:
        """Do what :meth:`take` does, but faster, for an event on one line after another event.

        Return nothing, and do nothing, if there is something else to do.
        """
        done, text = self._event, clean(line.text)
        found = None if self._loose else _find_name(text)
        if done is None or found is None or not line.whole or "kvm_" in text[found.end() :]:
            return ()
        before = text[: found.start()]
        task, time = _where(before)
        self._event = Event(line, found["event"], task, time, _text(text[found.end() :]))
        if time is None and not found["perf"]:
            self._event.take_count(before)
        return (done,)

    def take(self, line: Line) -> Iterator[Event | Lost]:
        """Yield what is complete before ``line``."""
        text = clean(line.text)
        if self._loose and _spans(self._loose[-1].text, text):
            text = self._loose.pop().text + text
        found = _search(text, self._style)
        if not line.whole:
            yield from self.finish()
            self._problems.add(line, exits=int(found is not None))
        elif found:
            yield from self._events(line, text, found)
        elif _is_break(text):
            yield from self.finish()
            yield from _lost(text)
            self._is_other = _OTHER_EVENT.search(text) is not None
        else:
            self._loose.append(attrs.evolve(line, text=text))
            if len(self._loose) > MOST_PIECES + 1:
                yield from self.finish(keep=1)

    def _events(self, line: Line, text: str, found: re.Match[str] | None) -> Iterator[Event]:
        """Begin the event of a line; several events are on one line if all breaks got lost."""
        before = text[: found.start()] if found else ""
        while found:
            task, time = _where(before)
            if not task.comm and self._loose and _is_prefix(self._loose[-1].text):
                task, time = _where(_joined(self._loose[-1].text, before))
                yield from self.finish(keep=1)
                self._loose.clear()
            else:
                yield from self.finish()
            after = text[found.end() :]
            following = _find_name(after)
            before = after[: following.start()] if following else after
            name = found.groupdict().get("event") or (ENTRY if _is_entry(found) else EXIT)
            if found.re is _FIELD:  # the reason may be anywhere among the fields
                before = text
            self._event = Event(line, name, task, time, _text(before))
            if time is None and found.re is _NAME and not found["perf"]:
                self._event.take_count(text[: found.start()])
            text, found = after, following

    def finish(self, keep: int = 0) -> Iterator[Event]:
        """Yield the event that is complete; ``keep`` lines are for the next one."""
        end = len(self._loose) - keep
        loose, self._loose = self._loose[:end], self._loose[end:]
        tail = takewhile(lambda line: _HAS_NUMBER.search(line.text), loose[:MOST_PIECES])
        mine = list(tail) if self._event or self._is_other else []
        self._is_other = False
        if self._event:
            self._event.pieces = tuple(_text(line.text) for line in mine)
            yield self._event
            self._event = None
        for line in loose[len(mine) :]:
            if not _is_prefix(line.text):
                self._problems.add(line)


def clean(text: str) -> str:
    """Return a line without colours, quote marks, and characters that only look like blanks."""
    if not text.isascii() or "\t" in text or "\r" in text:
        text = text.translate(_BLANKS | _NOTHING)
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    if "&" in text:
        text = reduce(lambda of, entity: of.replace(*entity), _ENTITIES, text)
    text = (
        text.replace("=3D", "=").removesuffix("=").removesuffix("\\")
    )  # as mails and shells break
    mark = _QUOTE.match(text) if text.lstrip(" ")[:1] in _MARKS else None
    return text[mark.end() :] if mark else text


def _search(text: str, style: Style) -> re.Match[str] | None:
    """Return where the first event of a line begins, and where its text does."""
    found = _find_name(text)
    if found or style is Style.FTRACE:
        return found
    found = (_TEXT if style is Style.PERF else _FIELD).search(text)
    if found is None or _FIGURE.search(text):
        return None
    before = text[: found.start()][-_LONGEST_PREFIX:]
    return None if style is Style.PERF and _OTHER_EVENT.search(before) else found


def _find_name(text: str) -> re.Match[str] | None:
    """Return where the name of the first event is, unless the line is a row of a table."""
    found = None
    at = text.find("kvm_")
    while at >= 0 and not found:
        found = _NAME.match(text, at - 4 if at >= 4 and text.startswith("kvm:", at - 4) else at)
        at = text.find("kvm_", at + 1)
    return None if found is None or text[found.end() :].strip().isdigit() else found


def _is_entry(found: re.Match[str]) -> bool:
    return found.groupdict().get("entry") is not None


def _spans(before: str, after: str) -> bool:
    """Return whether the name of an event is torn between two lines."""
    end, begin = before[-_LONGEST_NAME:], after[:_LONGEST_NAME]
    found = _NAME.search(end + begin)
    return found is not None and found.start() < len(end) < found.end()


def _is_break(text: str) -> bool:
    """Return whether a line is complete, and is or has no event of interest."""
    return bool(_IGNORED.match(text) or _LOST.match(text) or _OTHER_EVENT.search(text))


def _lost(text: str) -> Iterator[Lost]:
    """Yield what a line says about events that the tracer dropped."""
    if kept := _KEPT.match(text):
        yield Lost(max(int(kept[2]) - int(kept[1]), 0))
    elif lost := _LOST.match(text):
        yield Lost(next((int(n) for n in lost.groups() if n), None))


def _is_prefix(text: str) -> bool:
    """Return whether a line ends like a part of what precedes an event."""
    return _PART_OF_PREFIX.search(text[-_LONGEST_PREFIX:].rstrip()) is not None


def _joined(before: str, after: str) -> str:
    """Return two parts of a prefix as one; a number may be torn."""
    is_torn = before[-1:].isdigit() and after[:1] in _DIGITS
    return before + after if is_torn else f"{before} {after}"


def _text(text: str) -> str:
    """Return the text of an event without what libtraceevent says about fields it misses."""
    plain = _MISSING.sub(" ", text) if "F" in text else text
    return " ".join(plain.rstrip(" ).\u2026").split())


def _where(prefix: str) -> tuple[Task, float | None]:
    """Return what precedes an event; the part that recurs in the lines of a thread is kept."""
    raw = prefix[-_LONGEST_PREFIX:]
    if printed := _PRINTK.search(raw):
        raw = raw[: printed.start()]
    time = _TIME.search(raw[-_LONGEST_TIME:])
    if time is None:
        raw = raw.rstrip().removesuffix("kvm:")
        return _task_of(raw), _milliseconds(raw)
    return _task_of(raw[: len(raw) - (len(time.string) - time.start())]), _time(*time.groups())


def _time(time: str, unit: str | None) -> float:
    if unit is None and "." not in time:
        return TICKS
    return float(time) * _UNITS[unit]


def _milliseconds(raw: str) -> float | None:
    """Return the time that perf trace prints before the thread."""
    trace = _PERF_TRACE.fullmatch(" ".join(raw.split())) if "/" in raw and "." in raw else None
    return float(trace["ms"]) / 1e3 if trace and trace["ms"] else None


@lru_cache(maxsize=1 << 12)
def _task_of(raw: str) -> Task:
    fields = _PREFIX.fullmatch(" ".join(raw.split()))
    if fields is None:
        return Task()
    comm, pid, tid = fields["rest"].strip(), 0, None
    if _NUMBERED_COMM.fullmatch(comm):
        pass  # the number is not a thread
    elif task := _TASK.fullmatch(comm):
        comm, pid, tid = _task(task, raw, has_cpu=fields["cpu"] is not None)
    elif trace := _PERF_TRACE.fullmatch(comm):
        comm, tid = trace["comm"], int(trace["tid"])
    if fields["tgid"]:
        pid = int(fields["tgid"]) if fields["tgid"].isdigit() else 0
    if tid is None or not 0 < tid <= HIGHEST_TID or pid > HIGHEST_TID:
        pid, tid = 0, None
    cpu = int(fields["cpu"] or fields["latency_cpu"] or NO_CPU)
    return Task(_comm(comm), pid, tid, cpu if cpu < HIGHEST_CPU else NO_CPU)


def _task(task: re.Match[str], raw: str, *, has_cpu: bool) -> tuple[str, int, int | None]:
    """Return name, process and thread; the name may end in a number, without a thread."""
    comm, tid = task["comm"].strip(), int(task["tid"])
    is_ftrace = f"{comm}-{tid}" in raw
    if is_ftrace and tid < _PADDED and not has_cpu:
        return f"{comm}-{tid}", 0, None
    if task["pid"] or is_ftrace:
        return comm, int(task["pid"] or 0), tid
    before = _TASK.fullmatch(comm)
    if tid == 1 and before:  # the period of perf's event
        return before["comm"].strip(), int(before["pid"] or 0), int(before["tid"])
    if tid < _PADDED and f"  {tid}" not in raw and comm:
        return f"{comm} {tid}", 0, None
    return comm, 0, tid


def _comm(text: str) -> str:
    """Return a thread's name without what else is before it; empty if it is unknown."""
    if text.isalnum():
        return text
    for _ in range(_MOST_JUNK):
        junk = _JUNK.match(text)
        text = text[junk.end() :] if junk else text
    if numbered := _NUMBERED_COMM.fullmatch(text):
        return numbered["comm"]
    if torn := _TORN_COMM.fullmatch(text):
        return f"CPU {torn[1]}/KVM"
    if len(text) > _LONGEST_COMM:
        text = text.rpartition(" ")[2]
    return "" if text.isdigit() or _UNKNOWN_COMM.fullmatch(text) else text
