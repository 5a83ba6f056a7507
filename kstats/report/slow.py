"""Slow exits on a time line."""

from __future__ import annotations

import math

from kstats.arch.base import Category
from kstats.durations import duration as nanoseconds
from kstats.report import style, texts, ticks
from kstats.report.figures import Entry, Figure, Grid
from kstats.report.subject import MOST_ROWS, Subject
from kstats.views.exits import UNKNOWN
from kstats.vms.identity import Thread


class Slow:
    """The section on slow exits."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @property
    def figure(self) -> Figure | None:
        """Slow exits on a time line; None if nothing was slow."""
        slow = self._subject.of.slow
        if not slow:
            return None
        low = min(one.exit.duration for one in slow) * 0.8
        high = max(one.exit.duration for one in slow) * 1.25
        low, high = max(low, 1.0), max(high, 2.0)
        points = []
        for one in slow:
            height = math.log(max(one.exit.duration, 1) / low) / math.log(high / low)
            where = self._where(one.thread)
            text = (
                f"{self._subject.of.name(one.exit.code)} {nanoseconds(one.exit.duration)}, {where}"
            )
            colour = style.of(self._subject.of.category(one.exit.code))
            points.append((one.exit.time + self._subject.of.bins.set_back, height, colour, text))
        words = f"{self._subject.of.slow_count} slow exits over time, up to"
        words += f" {nanoseconds(max(one.exit.duration for one in slow))}."
        used = dict.fromkeys(self._subject.of.category(one.exit.code) for one in slow)
        legend = [
            Entry(style.of(category), str(category)) for category in Category if category in used
        ]
        return Figure(
            f"{self._subject.anchor}-slow-all",
            "",
            words,
            self._subject.canvas.dots(points, ticks.decades(low, high)),
            legend,
        )

    @property
    def count(self) -> int:
        """The number of slow exits, also those that are not drawn."""
        return self._subject.of.slow_count

    @property
    def drawn(self) -> int:
        """The number of slow exits that are drawn."""
        return len(self._subject.of.slow)

    @property
    def grid(self) -> Grid:
        """The slowest exits."""
        slowest = sorted(self._subject.of.slow, key=lambda one: -one.exit.duration)[:MOST_ROWS]
        rows = [
            [
                texts.precise(one.exit.time),
                nanoseconds(one.exit.duration),
                self._subject.of.name(one.exit.code),
                self._where(one.thread),
                UNKNOWN if one.exit.place.cpu < 0 else str(one.exit.place.cpu),
            ]
            for one in slowest
        ]
        return Grid(["ended", "duration", "reason", "vCPU", "CPU"], rows)

    def _where(self, thread: Thread | None) -> str:
        if thread is None:
            return UNKNOWN
        name = self._subject.vm_names[self._subject.of.vms.index(thread.vm)]
        return f"{name} vCPU {UNKNOWN if thread.vcpu is None else thread.vcpu}"
