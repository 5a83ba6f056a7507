"""The rows of the screens: VMs, vCPUs, reasons with their details, and slow exits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias

import attrs

from kstats import arch as arches
from kstats.arch import details
from kstats.arch.base import Category
from kstats.model import Code, SlowExit
from kstats.top.frame import Frame, Sums, reason
from kstats.top.state import Key, Screen, State
from kstats.views.exits import names_of
from kstats.vms.identity import Vm

UNKNOWN = "?"

Order: TypeAlias = Callable[["Row"], tuple[bool, float, str]]
"""Returns what rows are sorted by."""


@attrs.frozen(eq=False)
class Row:
    """One row; what a screen does not show is not set.

    Attributes:
        key: Identifies the row from sample to sample.
        label: Its name, not yet safe to draw.
        count: Its exits.
        level: How deep it is in the tree of reasons.
        threads: The threads in it.
        vcpus: How many of them run vCPUs.
        vm: Its VM.
        category, code: What the exits are for.
        sums: Its latencies.
        slow: The slow exit that it is.
        before: Exits per second when the mark was set; None without a mark.
        hidden: Whether it has children that are not shown.
    """

    key: Key
    label: str
    count: int = 0
    level: int = 0
    threads: tuple[int, ...] = ()
    vcpus: int = 0
    vm: Vm | None = None
    category: Category | None = None
    code: Code | None = None
    sums: Sums | None = None
    slow: SlowExit | None = None
    before: float | None = None
    hidden: bool = False


def rows(state: State, order: Order) -> list[Row]:
    """Return the rows of a screen that match the filter, sorted."""
    if state.frame is None:
        return []
    make = _MAKERS.get(state.screen)
    made = make(state, state.frame) if make else []
    if state.mark:
        then = {row.key: row.count for row in make(state, state.mark)} if make else {}
        scale = state.mark.elapsed
        made = [attrs.evolve(row, before=then.get(row.key, 0) / scale) for row in made]
    if state.screen is Screen.REASONS:
        return _matching_tree(state, _tree(made, order))
    return [row for row in sorted(made, key=order) if _matches(state, row)]


def _vms(state: State, frame: Frame) -> list[Row]:
    del state
    threads: dict[Vm | None, list[int]] = {}
    known = frame.sample.threads
    names = names_of(thread.vm for thread in known.values())
    for number in known.keys() | frame.threads.keys():
        thread = known.get(number)
        vm = thread.vm if thread else None
        if frame.scope.vm in (None, vm):
            threads.setdefault(vm, []).append(number)
    return [
        _group(frame, ("vm", vm), names[vm] if vm else UNKNOWN, numbers, vm)
        for vm, numbers in threads.items()
    ]


def _vcpus(state: State, frame: Frame) -> list[Row]:
    del state
    known = frame.sample.threads
    wanted = frame.scope.threads(frame.sample)
    names = names_of(thread.vm for thread in known.values())
    made = []
    for number in known.keys() | frame.threads.keys():
        if wanted is not None and number not in wanted:
            continue
        thread = known.get(number)
        label = names[thread.vm] if thread else UNKNOWN
        made.append(_group(frame, ("vcpu", number), label, [number], thread.vm if thread else None))
    return made


def _group(frame: Frame, key: Key, label: str, numbers: Iterable[int], vm: Vm | None) -> Row:
    threads = tuple(numbers)
    count = sum(frame.threads.get(number, 0) for number in threads)
    known = frame.sample.threads
    vcpus = sum(number in known for number in threads)
    return Row(key, label, count, threads=threads, vcpus=vcpus, vm=vm)


def _reasons(state: State, frame: Frame) -> list[Row]:
    """Return categories, their reasons and the details of these, in no order within a level."""
    categories: dict[Category, list[Code]] = {}
    for code in frame.codes:
        categories.setdefault(reason(code).category, []).append(code)
    made: list[Row] = []
    for category, codes in categories.items():
        key = ("category", category)
        sums = _sum([frame.codes[code] for code in codes])
        hidden = key in state.folded
        text = str(category)
        made.append(Row(key, text, sums.count, category=category, sums=sums, hidden=hidden))
        if not hidden:
            for code in codes:
                made += _reason_rows(state, frame, code, category)
    return made


def _reason_rows(state: State, frame: Frame, code: Code, category: Category) -> list[Row]:
    sums = frame.codes[code]
    known = frame.details.get(code, {})
    key = ("reason", code)
    opened = state.scope.code == code or key in state.folded
    text = reason(code).name
    made = Row(key, text, sums.count, 1, category=category, code=code, sums=sums)
    made = attrs.evolve(made, hidden=bool(known) and not opened)
    return [made, *(_detail_rows(frame, code, category) if opened else ())]


def _detail_rows(frame: Frame, code: Code, category: Category) -> list[Row]:
    kind = arches.detail(code[0], frame.sample.detail)
    return [
        Row(
            ("detail", code, number),
            UNKNOWN if number in (None, details.UNKNOWN) or not kind else kind.text(number or 0),
            sums.count,
            2,
            category=category,
            code=code,
            sums=sums,
        )
        for number, sums in frame.details.get(code, {}).items()
        if sums.count or sums.buckets
    ]


def _sum(parts: Iterable[Sums]) -> Sums:
    whole = Sums()
    for part in parts:
        whole.count += part.count
        if part.latency:
            whole.add_latency(part.latency)
    return whole


def _tree(made: list[Row], order: Order) -> list[Row]:
    """Sort the rows of a tree, each level within its parent."""
    groups: list[list[Row]] = []
    for row in made:
        if row.level == made[0].level:
            groups.append([row])
        else:
            groups[-1].append(row)
    groups.sort(key=lambda group: order(group[0]))
    return [row for group in groups for row in (group[0], *_tree(group[1:], order))]


def _slow(state: State, frame: Frame) -> list[Row]:
    threads = frame.sample.threads
    names = names_of(thread.vm for thread in threads.values())
    wanted = frame.scope.threads(frame.sample)
    made = []
    for number, slow in enumerate(state.slow):
        scope, place = frame.scope, slow.place
        if (wanted is not None and place.thread not in wanted) or (
            scope.cpu not in (None, place.cpu) or scope.code not in (None, slow.code)
        ):
            continue
        thread = threads.get(place.thread)
        made.append(
            Row(
                ("slow", slow.time, place, number),
                names[thread.vm] if thread else UNKNOWN,
                slow.duration,
                threads=(place.thread,),
                vm=thread.vm if thread else None,
                category=reason(slow.code).category,
                code=slow.code,
                slow=slow,
            )
        )
    return made


_MAKERS: Mapping[Screen, Callable[[State, Frame], list[Row]]] = {
    Screen.VMS: _vms,
    Screen.VCPUS: _vcpus,
    Screen.REASONS: _reasons,
    Screen.SLOW: _slow,
}


def clock(moment: float) -> str:
    """Return the time of day of a moment, UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S")


def _matches(state: State, row: Row) -> bool:
    if not state.filter:
        return True
    words = [row.label]
    if row.code is not None:
        words.append(reason(row.code).name)
    if row.category is not None:
        words.append(str(row.category))
    if row.vm is not None:
        words.append(str(row.vm.pid))
    return any(re.search(state.filter, word, re.IGNORECASE) for word in words)


def _matching_tree(state: State, made: list[Row]) -> list[Row]:
    """Return the rows that match, and the rows above them in the tree."""
    kept: list[Row] = []
    level = -1
    for row in reversed(made):
        if row.level < level or _matches(state, row):
            kept.append(row)
            level = row.level
    return kept[::-1]
