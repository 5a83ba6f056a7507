"""The screen of physical CPUs: a row or a cell for each, by NUMA node and socket."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kstats import cpulist
from kstats.arch.base import Category
from kstats.top.frame import Frame
from kstats.top.state import Key, State
from kstats.top.styled import BOLD, DIM, Line, Size, Span, Style, fit, level, line, reversed_
from kstats.top.tables import class_bar
from kstats.topology import CpuTopology
from kstats.units import figure

_FIGURE = 8
_HEAD = 2
"""Lines above the CPUs."""


@attrs.frozen
class Cpu:
    """A CPU on the screen."""

    number: int
    by_category: Mapping[Category, int]

    @property
    def count(self) -> int:
        """Its exits."""
        return sum(self.by_category.values())

    @property
    def name(self) -> str:
        """Its number; an unknown CPU has none."""
        return str(self.number) if self.number >= 0 else "?"

    @property
    def key(self) -> Key:
        """Identifies it from sample to sample."""
        return "cpu", self.number


@attrs.frozen
class Group:
    """The CPUs of a NUMA node and socket; ``idle`` are those that are not shown one by one."""

    title: str
    cpus: tuple[Cpu, ...]
    idle: tuple[int, ...]
    count: int


@attrs.frozen
class Layout:
    """The CPUs on the screen, in lines of ``across`` cells; one across is a row each."""

    groups: tuple[Group, ...]
    across: int
    cell: int
    label: int

    @property
    def cpus(self) -> list[Cpu]:
        """The CPUs in order."""
        return [cpu for group in self.groups for cpu in group.cpus]

    @property
    def rows(self) -> list[list[Cpu]]:
        """The CPUs of each line."""
        n = self.across
        return [
            list(group.cpus[i : i + n])
            for group in self.groups
            for i in range(0, len(group.cpus), n)
        ]


def layout(state: State, columns: int, rows: int) -> Layout:
    """Return how the CPUs are laid out on so many columns and rows."""
    groups = _groups(state)
    label = max((len(group.title) for group in groups), default=0) + 1
    height = rows - _HEAD
    if sum(len(group.cpus) + 1 + bool(group.idle) for group in groups) <= height:
        return Layout(groups, 1, 1, label)
    for cell in (2, 1):
        across = max((columns - label - _FIGURE - 1) // cell, 1)
        made = Layout(groups, across, cell, label)
        if len(made.rows) + sum(not group.cpus for group in groups) <= height or cell == 1:
            return made
    raise AssertionError


def _groups(state: State) -> tuple[Group, ...]:
    if state.frame is None:
        return ()
    topology = state.frame.sample.topology
    found: dict[tuple[int, int], list[Cpu]] = {}
    for number, by_category in sorted(state.frame.cpus.items()):
        at = topology.get(number, CpuTopology())
        found.setdefault((at.node, at.socket), []).append(Cpu(number, by_category))
    return tuple(_group(state, at, cpus) for at, cpus in sorted(found.items()))


def _group(state: State, at: tuple[int, int], cpus: list[Cpu]) -> Group:
    named = [f"{what} {n}" for what, n in zip(("node", "socket"), at, strict=True) if n >= 0]
    shown = tuple(cpu for cpu in cpus if state.idle or cpu.count)
    idle = tuple(cpu.number for cpu in cpus if not state.idle and not cpu.count)
    return Group(" ".join(named) or "CPUs", shown, idle, sum(cpu.count for cpu in cpus))


def body(state: State, frame: Frame, made: Layout, size: Size, at: int) -> list[Line]:
    """Return the lines of the screen; ``at`` is the index of the selected CPU."""
    cpus, columns = made.cpus, size.columns
    chosen = cpus[at]
    lines = [_legend(state, frame, columns), _about(state, frame, chosen, columns)]
    most = max(cpu.count for cpu in cpus)
    draw = _as_row if made.across == 1 else _as_grid
    for group in made.groups:
        lines += draw(state, frame, Drawn(made, group, chosen, most, columns))
    return _scrolled(lines, at, made, size.rows)


@attrs.frozen
class Drawn:
    """A group to draw: its place, the selected CPU, and the exits of the busiest CPU."""

    layout: Layout
    group: Group
    chosen: Cpu
    most: int
    columns: int


def _scrolled(lines: list[Line], at: int, made: Layout, rows: int) -> list[Line]:
    if len(lines) <= rows:
        return lines
    body_rows = rows - _HEAD
    page = min(at // made.across // body_rows * body_rows, len(lines) - rows)
    return [*lines[:_HEAD], *lines[_HEAD + page : rows + page]]


def _as_row(state: State, frame: Frame, drawn: Drawn) -> list[Line]:
    """Return a heading, a line for each CPU, and one for those that are idle."""
    group, columns = drawn.group, drawn.columns
    rate = figure(group.count / frame.elapsed, _FIGURE)
    lines = [fit(line(Span(group.title, BOLD), Span(f"  {rate} exits/s", DIM)), columns)]
    for cpu in group.cpus:
        rate = figure(cpu.count / frame.elapsed, _FIGURE)
        spans = line(f"{cpu.name:>5} {rate:>{_FIGURE}} ")
        bar = class_bar(state, cpu.by_category, drawn.most, columns - 16)
        head = reversed_(spans) if cpu is drawn.chosen else spans
        lines.append(fit((*head, *bar), columns))
    if group.idle:
        text = f"{len(group.idle)} idle: {cpulist.text(group.idle)}"
        lines.append(fit(line(Span(f"      {text}", DIM)), columns))
    return lines


def _as_grid(state: State, frame: Frame, drawn: Drawn) -> list[Line]:
    """Return lines of cells: the height is the rate, the colour that of most of the exits."""
    group, made = drawn.group, drawn.layout
    idle = f" +{len(group.idle)} idle" if group.idle else ""
    tail = f" {figure(group.count / frame.elapsed, _FIGURE)}/s{idle}"
    n = made.across
    parts = [group.cpus[i : i + n] for i in range(0, len(group.cpus), n)] or [()]
    lines = []
    for number, part in enumerate(parts):
        spans = [Span(("" if number else group.title).ljust(made.label), BOLD)]
        for cpu in part:
            glyph = level(cpu.count, drawn.most, state.look.heights)
            style = Style(_hottest(cpu), reverse=cpu is drawn.chosen)
            spans.append(Span((glyph if glyph != " " else ".") * made.cell, style))
        end = tail if number == len(parts) - 1 else ""
        lines.append(fit((*spans, Span(end, DIM)), drawn.columns))
    return lines


def _hottest(cpu: Cpu) -> Category | None:
    return max(cpu.by_category, key=lambda c: cpu.by_category[c], default=None)


def _legend(state: State, frame: Frame, columns: int) -> Line:
    """Return the exits of all CPUs by category, with their colours."""
    sums: dict[Category, int] = {}
    for by_category in frame.cpus.values():
        for category, n in by_category.items():
            sums[category] = sums.get(category, 0) + n
    spans: list[Span] = []
    whole = sum(sums.values()) or 1
    for category in sorted(sums, key=lambda c: -sums[c]):
        bar = class_bar(state, {category: 1}, 1, 1)
        spans += (*bar, Span(f" {category} {100 * sums[category] / whole:.0f}%  "))
    return fit(spans, columns)


def _about(state: State, frame: Frame, cpu: Cpu, columns: int) -> Line:
    """Return what the selected CPU does."""
    at = frame.sample.topology.get(cpu.number)
    where = f" (core {at.core})" if at and at.core >= 0 else ""
    rate = figure(cpu.count / frame.elapsed, _FIGURE)
    text = line(Span(f"cpu {cpu.name}{where}: {rate} exits/s  ", BOLD))
    return fit((*text, *class_bar(state, cpu.by_category, cpu.count, 30)), columns)
