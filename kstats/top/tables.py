"""Screens that are tables: which columns they have, and how they are laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import attrs

from kstats.arch.base import Category
from kstats.durations import duration
from kstats.model import VcpuTime
from kstats.top.frame import Frame, dominant, reason
from kstats.top.rows import Order, Row, rows
from kstats.top.state import TREND, Screen, State
from kstats.top.styled import (
    BOLD,
    DIM,
    PLAIN,
    Line,
    Span,
    Style,
    fit,
    level,
    reversed_,
    stacked,
)
from kstats.units import figure

_FIGURE = 7
_BAR = 10
_GAP = 1

Value: TypeAlias = "float | str | None"


@attrs.frozen(eq=False)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        least: The fewest cells it takes.
        cell: Return what is in it for a row, at most as wide as the last argument.
        value: Return what to sort by; None if rows cannot be sorted by it.
        most: The most cells it takes; it grows if there is room.
        left: Whether it is aligned on the left.
        rank: Columns with a higher rank go first if they do not all fit.
        wanted: Return whether there is anything to show.
    """

    title: str
    least: int
    cell: Callable[[State, Frame, Row, int], Line]
    value: Callable[[State, Frame, Row], Value] | None = None
    most: int = 0
    left: bool = False
    rank: int = 0
    wanted: Callable[[State, Frame], bool] = lambda *_: True


def columns(state: State) -> tuple[Column, ...]:
    """Return the columns of a screen that have something to show."""
    frame = state.frame
    return tuple(c for c in COLUMNS[state.screen] if frame and c.wanted(state, frame))


def sortable(state: State) -> tuple[str, ...]:
    """Return the titles of the columns that the rows can be sorted by."""
    return tuple(column.title for column in columns(state) if column.value)


def sorted_by(state: State) -> str:
    """Return the title of the column that the rows are sorted by."""
    known = sortable(state)
    chosen = state.sort.get(state.screen, _FIRST[state.screen])
    return chosen if chosen in known else next(iter(known), "")


def sorted_rows(state: State) -> list[Row]:
    """Return the rows of a screen in the order in which they are shown."""
    return rows(state, _order(state))


def _order(state: State) -> Order:
    """Return what sorts numbers from the largest, words from the first; unknown ones come last."""
    title, frame = sorted_by(state), state.frame
    value = next((c.value for c in columns(state) if c.title == title), None)
    sign = 1 if state.ascending else -1

    def order(row: Row) -> tuple[bool, float, str]:
        found = value(state, frame, row) if value and frame else None
        if isinstance(found, str):
            return False, 0, found
        return found is None, sign * (found or 0), row.label

    return order


def table(state: State, at: int, shown: Sequence[Row], size: int) -> list[Line]:
    """Return the heading and a line for each row; ``at`` is the selected one, ``size`` columns."""
    frame = state.frame
    if frame is None:
        return []
    chosen = _fitting(columns(state), size)
    by = sorted_by(state)
    heading: list[Span] = []
    for column, cells in chosen:
        title = state.look.glyphs(f"{column.title}▾" if column.title == by else column.title)
        style = BOLD if column.title == by else Style(dim=True)
        heading += (*fit((Span(title, style),), cells, right=not column.left), Span(" "))
    lines = [fit(heading, size)]
    for number, row in enumerate(shown):
        spans: list[Span] = []
        for column, cells in chosen:
            made = column.cell(state, frame, row, cells)
            spans += (*fit(made, cells, right=not column.left), Span(" "))
        whole = fit(spans, size)
        lines.append(reversed_(whole) if number == at else whole)
    return lines


def _fitting(known: Sequence[Column], size: int) -> list[tuple[Column, int]]:
    """Return the columns that fit into ``size`` cells, and the cells of each."""
    kept: set[int] = set()
    used = 0
    for number in sorted(range(len(known)), key=lambda n: (known[n].rank, n)):
        if used + known[number].least + _GAP <= size:
            kept.add(number)
            used += known[number].least + _GAP
    cells = {number: known[number].least for number in kept}
    for number in sorted(kept, key=lambda n: known[n].rank):
        more = min(max(known[number].most - cells[number], 0), size - used)
        cells[number] += more
        used += more
    return [(known[number], cells[number]) for number in sorted(kept)]


def _rate(_: State, frame: Frame, row: Row) -> Value:
    return row.count / frame.elapsed


def _per_vcpu(_: State, frame: Frame, row: Row) -> Value:
    return row.count / frame.elapsed / row.vcpus if row.vcpus else None


def _share(_: State, frame: Frame, row: Row) -> Value:
    return 100 * row.count / frame.total if frame.total else None


def _change(_: State, frame: Frame, row: Row) -> Value:
    return row.count / frame.elapsed / row.before if row.before else None


def _numbers(value: Callable[[State, Frame, Row], Value]) -> Callable[..., Line]:
    def cell(state: State, frame: Frame, row: Row, cells: int) -> Line:
        found = value(state, frame, row)
        if not isinstance(found, int | float):
            return (Span("-", DIM),)
        return (Span(figure(found, cells), PLAIN if found else DIM),)

    return cell


def _change_cell(state: State, frame: Frame, row: Row, _: int) -> Line:
    ratio = _change(state, frame, row)
    if isinstance(ratio, int | float):
        return (Span(f"x{ratio:.2f}" if ratio < 100 else f"x{ratio:.0f}", BOLD),)
    return (Span("new" if row.count else "-", BOLD if row.count else DIM),)


def _label(state: State, _: Frame, row: Row, __: int) -> Line:
    return (Span(state.look.shown(row.label)),)


def _tree_label(state: State, _: Frame, row: Row, __: int) -> Line:
    signs = "▾▸" if row.level == 0 else " ▸"
    sign = "" if row.level == 2 else state.look.glyphs(signs[row.hidden])
    style = Style(row.category, bold=not row.level)
    return (Span(f"{'  ' * row.level}{sign} "), Span(state.look.shown(row.label), style))


def _vcpu_number(_: State, frame: Frame, row: Row) -> Value:
    thread = frame.sample.threads.get(row.threads[0])
    return None if thread is None or thread.vcpu is None else float(thread.vcpu)


def _vcpu_cell(state: State, frame: Frame, row: Row, __: int) -> Line:
    number = _vcpu_number(state, frame, row)
    return (Span("?" if number is None else f"{number:.0f}"),)


def _tid(_: State, __: Frame, row: Row) -> Value:
    return float(row.threads[0] & 0xFFFF_FFFF)


def _plain(value: Callable[[State, Frame, Row], Value]) -> Callable[..., Line]:
    def cell(state: State, frame: Frame, row: Row, _: int) -> Line:
        found = value(state, frame, row)
        return (Span("-" if found is None else f"{found:.0f}" if found != str(found) else ""),)

    return cell


def _pid(_: State, __: Frame, row: Row) -> Value:
    return float(row.vm.pid) if row.vm else None


def _trend(state: State, _: Frame, row: Row, cells: int) -> Line:
    rates = [rates.get(row.vm, 0.0) for rates in state.trend][-cells:]
    most = max(rates, default=0.0)
    return (Span("".join(level(rate, most, state.look.heights) for rate in rates)),)


def _top_code(state: State, frame: Frame, row: Row, _: int) -> Line:
    code = row.code if row.code is not None else dominant(frame.by_code(row.threads))
    if code is None:
        return (Span("idle" if row.vcpus else "-", DIM),)
    found = reason(code)
    return (Span(state.look.shown(found.name), Style(found.category)),)


def _classes(state: State, frame: Frame, row: Row, cells: int) -> Line:
    by_category: dict[Category, int] = {}
    for code, n in frame.by_code(row.threads).items():
        category = reason(code).category
        by_category[category] = by_category.get(category, 0) + n
    return class_bar(state, by_category, sum(by_category.values()), cells)


def class_bar(state: State, by_category: Mapping[Category, int], whole: float, cells: int) -> Line:
    """Return a bar of exits by category; ``whole`` exits fill it."""
    parts = [
        (category_glyph(state, category), Style(category), by_category.get(category, 0))
        for category in Category
    ]
    return stacked(parts, whole, cells)


_LETTERS: Mapping[Category, str] = {
    Category.INTERRUPT: "i",
    Category.MEMORY: "m",
    Category.IO: "o",
    Category.REGISTER: "r",
    Category.IDLE: "-",
    Category.SPIN: "s",
    Category.HYPERCALL: "h",
    Category.EXCEPTION: "x",
    Category.OTHER: "?",
}


def category_glyph(state: State, category: Category) -> str:
    """Return what a bar of a category is made of: letters where there are no colours."""
    return state.look.heights[-1] if state.look.colour else _LETTERS[category]


def _times(state: State, frame: Frame, row: Row, cells: int) -> Line:
    spent = frame.vcpu_time(row.threads)
    if spent is None:
        return (Span("-", DIM),)
    amounts = [n or 0 for n in attrs.astuple(spent)]
    styles = (PLAIN, PLAIN, PLAIN, DIM, BOLD)
    parts = list(zip(state.look.shades, styles, amounts, strict=True))
    return fit(stacked(parts, sum(amounts), cells), cells)


def _waiting(_: State, frame: Frame, row: Row) -> Value:
    spent: VcpuTime | None = frame.vcpu_time(row.threads)
    if spent is None or spent.waiting is None:
        return None
    return spent.waiting / (frame.elapsed * 1e7 * max(row.vcpus, 1))


def _helpers(state: State, _: Frame, row: Row) -> Value:
    return (state.helpers or {}).get(row.vm.pid) if row.vm else None


def _timing(
    pick: Callable[[Row], float | None],
) -> tuple[Callable[..., Line], Callable[..., Value]]:
    def cell(_: State, __: Frame, row: Row, ___: int) -> Line:
        found = pick(row)
        return (Span("-", DIM),) if found is None else (Span(duration(found)),)

    return cell, lambda _, __, row: pick(row)


def _mean(row: Row) -> float | None:
    return row.sums.latency.mean if row.sums and row.sums.latency else None


def _p99(row: Row) -> float | None:
    return row.sums.latency.percentile(99) if row.sums and row.sums.latency else None


def _maximum(row: Row) -> float | None:
    return row.sums.latency.maximum if row.sums and row.sums.latency else None


def _time_share(row: Row) -> float | None:
    return float(row.sums.latency.total) if row.sums and row.sums.latency else None


def _share_bar(state: State, frame: Frame, row: Row, cells: int) -> Line:
    glyph = category_glyph(state, row.category or Category.OTHER)
    return stacked([(glyph, Style(row.category), row.count)], frame.total, cells)


def _meaning(state: State, _: Frame, row: Row, cells: int) -> Line:
    if row.level != 1 or row.code is None:
        return ()
    return (Span(state.look.shown(reason(row.code).meaning, max(cells, 1)), DIM),)


def _ended(_: State, __: Frame, row: Row) -> Value:
    return row.slow.time if row.slow else None


def _ended_cell(state: State, frame: Frame, row: Row, _: int) -> Line:
    moment = _ended(state, frame, row)
    if not isinstance(moment, float):
        return ()
    text = datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S.%f")
    return (Span(text),)


def _cpu(_: State, __: Frame, row: Row) -> Value:
    return float(row.slow.place.cpu) if row.slow and row.slow.place.cpu >= 0 else None


def _slow_duration(row: Row) -> float | None:
    return float(row.slow.duration) if row.slow else None


def _label_value(_: State, __: Frame, row: Row) -> Value:
    return row.label


def _timed(_: State, frame: Frame) -> bool:
    return frame.sample.timed


def _has_times(_: State, frame: Frame) -> bool:
    return frame.sample.vcpu_time is not None


def _marked(state: State, _: Frame) -> bool:
    return state.mark is not None


_RATE = Column("exits/s", _FIGURE + 1, _numbers(_rate), _rate)
_SHARE = Column("share%", 6, _numbers(_share), _share, rank=2)
_CHANGE = Column("vs mark", 8, _change_cell, _change, rank=1, wanted=_marked)
_TIME = Column(
    "█guest▓kern▒vmm░halt!wait", 25, _times, rank=1, most=40, left=True, wanted=_has_times
)
_WAITING = Column("wait%", 5, _numbers(_waiting), _waiting, rank=2, wanted=_has_times)
_TOP = Column("top reason", 12, _top_code, rank=2, most=24, left=True)
_CLASSES = Column("classes", _BAR, _classes, rank=5, most=40, left=True)
_DURATION_CELL, _DURATION = _timing(_slow_duration)


def _latency(title: str, pick: Callable[[Row], float | None], rank: int) -> Column:
    cell, value = _timing(pick)
    return Column(title, 7, cell, value, rank=rank, wanted=_timed)


COLUMNS: Mapping[Screen, tuple[Column, ...]] = {
    Screen.CPUS: (),
    Screen.VMS: (
        Column("VM", 12, _label, _label_value, most=40, left=True),
        Column("pid", 7, _plain(_pid), _pid, rank=6),
        Column(
            "vCPUs",
            6,
            _plain(lambda _, __, row: float(row.vcpus)),
            lambda _, __, r: r.vcpus,
            rank=3,
        ),
        _RATE,
        Column("/vCPU·s", _FIGURE + 1, _numbers(_per_vcpu), _per_vcpu, rank=2),
        _CHANGE,
        Column(
            "helpers%",
            8,
            _numbers(_helpers),
            _helpers,
            rank=4,
            wanted=lambda s, _: s.helpers is not None,
        ),
        _WAITING,
        _TIME,
        _TOP,
        Column("trend", 8, _trend, rank=4, most=TREND, left=True),
        _CLASSES,
    ),
    Screen.VCPUS: (
        Column("VM", 12, _label, _label_value, most=40, left=True),
        Column("vCPU", 5, _vcpu_cell, _vcpu_number),
        Column("tid", 8, _plain(_tid), _tid, rank=4),
        _RATE,
        _SHARE,
        _CHANGE,
        _WAITING,
        _TIME,
        _TOP,
        _CLASSES,
    ),
    Screen.REASONS: (
        Column("category / reason", 24, _tree_label, _label_value, most=48, left=True),
        _RATE,
        _SHARE,
        _CHANGE,
        _latency("mean", _mean, 1),
        _latency("p99", _p99, 1),
        _latency("max", _maximum, 3),
        _latency("total", _time_share, 2),
        Column("share", _BAR, _share_bar, rank=4, most=40, left=True),
        Column("meaning", 20, _meaning, rank=5, most=100, left=True),
    ),
    Screen.SLOW: (
        Column("ended (UTC)", 15, _ended_cell, _ended, left=True),
        Column("duration", 9, _DURATION_CELL, _DURATION),
        Column("VM", 12, _label, _label_value, most=40, left=True),
        Column("vCPU", 5, _vcpu_cell, _vcpu_number, rank=1),
        Column("cpu", 5, _plain(_cpu), _cpu, rank=2),
        Column("reason", 16, _top_code, rank=1, most=40, left=True),
    ),
}
"""The columns of each screen."""

_FIRST: Mapping[Screen, str] = dict.fromkeys(Screen, "exits/s") | {Screen.SLOW: "ended (UTC)"}
