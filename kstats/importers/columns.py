"""Read tables with a heading: a column of reasons, one of counts, and any others.

::

    VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time
        HLT     101128    75.33%    99.66%      0.43us 901000.66us    310.88us ( +-   8.46% )

PID      TID      KVM_EXIT_REASON                     COUNT
1273551  1273568  MSR_WRITE                           6

reason:        count      sum(us)      min(us)      avg(us)      max(us)
    12:          182     29145513           58       160140       500054
"""

from __future__ import annotations

import csv
import enum
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

import attrs

from kstats.arch import lookup
from kstats.histogram import Summary
from kstats.importers.figures import Who, count


class Role(enum.Enum):
    """What a column contains."""

    REASON = enum.auto()
    COUNT = enum.auto()
    PID = enum.auto()
    TID = enum.auto()
    VCPU = enum.auto()
    CPU = enum.auto()
    COMM = enum.auto()
    SHARE = enum.auto()
    SUM = enum.auto()
    MEAN = enum.auto()
    MIN = enum.auto()
    MAX = enum.auto()
    TIME = enum.auto()
    WORD = enum.auto()
    OTHER = enum.auto()


_TEXTS = (Role.REASON, Role.COMM)

_HEADINGS: Mapping[Role, str] = {
    Role.REASON: "vmexit kvmexit exit_reason kvm_exit_reason vmexit_reason vm_exit_reason reason"
    " exit_name event_name exit_code exitcode vmexit_code exit_type event name exit code ec esr_ec"
    " hsr_ec",
    Role.COUNT: "count counts samples exits hits hitcount exit_count total_exits number"
    " occurrences calls freq frequency stat num nr n total",
    Role.PID: "pid tgid process qemu_pid",
    Role.TID: "tid tids thread",
    Role.VCPU: "vcpu vcpuid vcpu_id",
    Role.CPU: "cpu pcpu",
    Role.COMM: "comm command vm guest thread_name vm_name domain",
    Role.SHARE: "share percent percentage pct overhead ratio",
    Role.SUM: "sum time total_time total_latency total_duration",
    Role.MEAN: "avg mean average avg_time mean_time exit_time_avg avg_latency avg_duration",
    Role.MIN: "min min_time min_latency min_duration",
    Role.MAX: "max max_time max_latency max_duration",
    Role.TIME: "p50 p90 p95 p99 latency duration median stddev",
    Role.WORD: "isa category",
    Role.OTHER: "current curavg/s exits/s rate rank",
}
"""Headings in the spelling of :func:`_plain`; the first of a role is the best."""

_ROLES = {word: role for role, words in _HEADINGS.items() for word in words.split()}
_RANK = {word: rank for rank, word in enumerate(_HEADINGS[Role.COUNT].split())}

_DIGIT = re.compile(r"(?:^|[\s|,;\"])\d", re.ASCII)

_LONGEST = 1000
"""Characters of the longest heading."""

_UNIT = re.compile(r"\s?\(\s?(%|ns|us|µs|ms|s|usec|nsec|msec|sec)\s?\)", re.IGNORECASE)
_DURATION = re.compile(r"(?P<number>\d{1,15}(?:\.\d{1,9})?)(?P<unit>ns|us|µs|ms|s)?", re.ASCII)
_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}
_NS |= {f"{prefix}sec": ns for prefix, ns in (("n", 1), ("u", 10**3), ("m", 10**6), ("", 10**9))}
_DEVIATION = re.compile(r"\(\s*(?:\+-|\+/-|±)[^()]*(?:\)|$)")
_NUMBER = re.compile(
    r"[-+]?(?:\d[\d,._']*|\.\d+|nan|inf)(?:e[-+]?\d+)?(?:%|ns|us|µs|ms|s|[kmgt])?|-|n/a|\?",
    re.ASCII | re.IGNORECASE,
)
_WIDE = re.compile(r"\t+|\s{2,}")


def is_other_heading(text: str) -> bool:
    """Return whether a line has a heading for counts, but none for reasons: another table."""
    words = [_plain(word) for word in text.split()] if len(text) <= _LONGEST else []
    roles = [_ROLES.get(word) for word in words]
    return len(words) > 1 and Role.COUNT in roles and not _DIGIT.search(text)


def are_numbers(text: str) -> bool:
    """Return whether a line has only numbers, as the second half of a wrapped row."""
    words = text.replace("(", " ").replace(")", " ").split()
    return all(word == "+-" or _NUMBER.fullmatch(word) for word in words)


@attrs.frozen
class Cells:
    """What a row says."""

    reason: str
    count: int
    who: Who
    times: Summary | None


@attrs.frozen
class Heading:
    """The heading of a table.

    Attributes:
        roles: What each column contains.
        words: The headings, as the table has them.
        units: Nanoseconds of the unit in each heading, 0 without one.
        mark: What separates columns; empty for blanks.
        isa: The ISA that it names (``SVM code``), or empty.
    """

    roles: tuple[Role, ...]
    words: tuple[str, ...]
    units: tuple[int, ...] = ()
    mark: str = ""
    isa: str = ""

    @classmethod
    def of(cls, text: str) -> Heading | None:
        """Return the heading in a line; None if the line is not one."""
        if len(text) > _LONGEST or _DIGIT.search(text):  # rows are many, and headings few
            return None
        bare = _UNIT.sub(r"(\1)", text).strip().lstrip("#").strip()
        mark = next((mark for mark in "|│,;" if len(bare.strip(mark).split(mark)) > 1), "")
        isa, words = _without_isa(_cut(bare, mark) if mark else _joined(bare.split()))
        plain = [_plain(word) for word in words]
        counts = [word for word in plain if _ROLES.get(word) is Role.COUNT]
        if not counts or not all(plain):
            return None
        best = min(counts, key=_RANK.__getitem__)
        roles = [_role(word, plain, best) for word in plain]
        unknown = sum(
            word not in _ROLES and role is Role.OTHER
            for word, role in zip(plain, roles, strict=True)
        )
        if roles.count(Role.REASON) != 1 or 2 * unknown > len(roles):
            return None
        return cls(tuple(roles), tuple(words), tuple(map(_unit, words)), mark, isa)

    @property
    def has_times(self) -> bool:
        """Whether columns have times."""
        return not {Role.SUM, Role.MEAN, Role.MIN, Role.MAX, Role.TIME}.isdisjoint(self.roles)

    def row(self, text: str) -> Cells | None:
        """Return the cells of a line; None if it does not fit the heading."""
        text = _DEVIATION.sub("", text).strip()
        cells = _cut(text, self.mark) if self.mark else self._by_blanks(text)
        if len(cells) < len(self.roles) and self.mark:
            return None
        found = dict(zip(self.roles, cells, strict=False))
        reason, n = found.get(Role.REASON, ""), count(found.get(Role.COUNT, ""))
        if not reason or n is None:
            return None
        return Cells(reason, n, self._who(found), self._times(found, n))

    def _times(self, found: Mapping[Role, str], n: int) -> Summary | None:
        """Return the times of a row, if it has the extremes, and the sum or the mean."""
        ns = {
            role: _nanoseconds(found[role], unit)
            for role, unit in zip(self.roles, self.units, strict=True)
            if role in found
        }
        least, most, mean = ns.get(Role.MIN), ns.get(Role.MAX), ns.get(Role.MEAN)
        total = ns.get(Role.SUM)
        if total is None and mean is not None:
            total = mean * n
        if least is None or most is None or total is None or not n:
            return None
        return Summary({}, round(total), round(least), round(most), n)

    def _who(self, found: Mapping[Role, str]) -> Who:
        pid, tid = (_below_2_31(found.get(role, "")) for role in (Role.PID, Role.TID))
        vcpu, cpu = (_below_2_31(found.get(role, "")) for role in (Role.VCPU, Role.CPU))
        return Who(
            pid=pid or 0,
            tid=tid or 0,
            vcpu=vcpu,
            comm=found.get(Role.COMM, ""),
            cpu=-1 if cpu is None else cpu,
        )

    def _by_blanks(self, text: str) -> Sequence[str]:
        """Return the cells between blanks; names may contain single ones. Empty if none fit."""
        wide = _WIDE.split(text)
        if len(wide) == len(self.roles) and self._fit(wide):
            return wide
        words = text.split()
        cells: list[str] = []
        for is_text, columns in groupby(self.roles, _TEXTS.__contains__):
            n = len(list(columns))
            if is_text and len(cells) + n == len(self.roles):
                taken, words = words, []
            elif is_text:
                numbers = (at for at in range(n, len(words)) if _NUMBER.fullmatch(words[at]))
                end = next(numbers, len(words))
                taken, words = words[:end], words[end:]
            else:
                taken, words = words[:n], words[n:]
            cells += self._names(taken, n) if is_text else taken
        # A wrapped heading has fewer columns than its rows, a wrapped row has fewer cells.
        return cells if all(map(_NUMBER.fullmatch, words)) and self._fit(cells) else ()

    def _names(self, words: list[str], columns: int) -> list[str]:
        """Return one or two names from the words of both; empty if they do not fit."""
        if columns == 1 and words:
            return [" ".join(words)]
        if columns != 2 or len(words) < 2:
            return []
        reason_last = self.roles.index(Role.REASON) > self.roles.index(Role.COMM)
        at = len(words) - 1 if reason_last else 1
        return [" ".join(words[:at]), " ".join(words[at:])]

    def _fit(self, cells: Sequence[str]) -> bool:
        pairs = zip(cells, self.roles, strict=False)
        return all(
            role in _TEXTS or role is Role.WORD or _NUMBER.fullmatch(cell.strip(":"))
            for cell, role in pairs
        )


def _joined(words: list[str]) -> list[str]:
    """Join the words of headings that have two or three: ``Min Time``, ``Exit reason``."""
    joined: list[str] = []
    while words:
        n = next((n for n in (3, 2) if _plain("_".join(words[:n])) in _ROLES and words[n - 1 :]), 1)
        joined.append(" ".join(words[:n]))
        words = words[n:]
    return joined


def _without_isa(words: list[str]) -> tuple[str, list[str]]:
    """Return the ISA that a heading names, and the headings without it: ``SVM code``."""
    names = {isa.name for isa in lookup.isas()}
    found = [word.lower() for word in words if word.lower() in names]
    return (found[0] if found else ""), [word for word in words if word.lower() not in names]


def _unit(word: str) -> int:
    found = _UNIT.search(word)
    return _NS.get(found[1].lower(), 0) if found else 0


def _nanoseconds(text: str, unit: int) -> float | None:
    """Return a duration; ``unit`` is what a number without a unit has, 0 if that is unknown."""
    found = _DURATION.fullmatch(text)
    scale = (_NS[found["unit"]] if found["unit"] else unit) if found else 0
    return float(found["number"]) * scale if found and scale else None


def _plain(word: str) -> str:
    word = _UNIT.sub("", word)
    plain = re.sub(r"[\s-]+", "_", word.strip().strip(":*\"'`").strip().lower())
    return {"vm_exit": "vmexit", "kvm_exit": "kvmexit"}.get(plain, plain)


def _role(word: str, all_words: list[str], count_word: str) -> Role:
    if word == count_word:
        return Role.COUNT
    if word.startswith("%") or word.endswith("%"):
        return Role.SHARE
    role = _ROLES.get(word, Role.OTHER)
    if role is Role.COUNT:  # another sum beside the counts
        return Role.OTHER
    if word == "pid" and "tgid" in all_words:  # as the kernel calls a thread
        return Role.TID
    reasons = [w for w in all_words if _ROLES.get(w) is Role.REASON]
    if role is Role.REASON and word != _best_reason(reasons):
        return Role.OTHER
    return role


def _best_reason(words: list[str]) -> str:
    ranks = _HEADINGS[Role.REASON].split()
    return min(words, key=ranks.index)


def _cut(text: str, mark: str) -> list[str]:
    """Return the cells of a line with marks between them, without those of a frame."""
    cells = _csv(text, mark) if mark in ",;" else text.strip(mark).split(mark)
    return [cell.strip() for cell in cells]


def _csv(text: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=mark, skipinitialspace=True), [])
    except csv.Error:  # a line feed or NUL within a cell
        return []


def _below_2_31(text: str) -> int | None:
    found = count(text) if text.isdigit() else None
    return found if found is not None and found < 1 << 31 else None
