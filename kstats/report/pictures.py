"""Draw the shapes of pictures as SVG.

A picture is an ``svg`` element that is stretched to its place, so that its shapes may be zoomed by
changing its ``viewBox``. Texts are not in it: they would be stretched, too, and too small to read
on a phone. Colours come from the classes of the page (:mod:`kstats.report.style`), so one picture
serves the light and the dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from markupsafe import Markup

from kstats.report import png, ticks
from kstats.report.bins import Bins
from kstats.report.ticks import Tick

WIDTH, HEIGHT = 10_000, 1_000
"""The size of a picture in its own units; whole numbers are fine enough."""

_PARTS = 512
"""Of time, at most, in a heat map."""

_DARKEST = 255

Values = Sequence[float | None]


@attrs.frozen(eq=False)
class Series:
    """A named sequence of values, one for each bin, and the class of its colour."""

    name: str
    style: str
    values: Values


@attrs.frozen(eq=False)
class Picture:
    """A picture over time.

    Attributes:
        shapes: What is inside the ``svg`` element.
        height: CSS pixels.
        x: Ticks of the time axis, from the left.
        y: Ticks of the other axis, from the bottom.
        data: What the page's script reads to show values, as JSON.
    """

    shapes: Markup
    height: int
    x: Sequence[Tick]
    y: Sequence[Tick]
    data: Mapping[str, Any]


class Canvas:
    """Draws pictures over the time of one recording."""

    def __init__(self, bins: Bins) -> None:
        """``bins`` has one bin at least."""
        self._bins = bins
        self._begin, self._end = bins.starts[0], bins.ends[-1]
        self._gaps = bins.gaps()
        self._x = ticks.times(self._begin, self._end)
        self._edges = [
            (self._at(start), self._at(end))
            for start, end in zip(bins.starts, bins.ends, strict=True)
        ]

    def stack(
        self, series: Sequence[Series], line: Series | None = None, highest: float | None = None
    ) -> Picture:
        """Draw areas on top of each other, the first at the bottom, and a line.

        The axis ends at ``highest``, or at a round number above everything.
        """
        tops = [0.0] * len(self._bins)
        sums = [
            sum(of_bin) for of_bin in zip(*map(_zeros, (s.values for s in series)), strict=True)
        ]
        most = max((*sums, *_zeros(line.values if line else [])), default=0.0)
        end, y = ticks.numbers(most) if highest is None else (highest, ticks.numbers(highest)[1])
        shapes = []
        for one in series:
            bases, tops = tops, [a + b for a, b in zip(tops, _zeros(one.values), strict=True)]
            path = "".join(self._areas(bases, tops, one.values, lambda value: value / end))
            shapes.append(f'<path class="{one.style}" d="{path}"/>')
        if line:
            shapes.append(self._line(line, lambda value: value / end))
        data = {"series": [_data(one) for one in (*series[::-1], *([line] if line else []))]}
        return self._picture(shapes, 260, y, {**data, "unit": "/s" if highest is None else "%"})

    def heat(  # noqa: PLR0913 - a map, its scale, its axis and its name
        self,
        cells: Mapping[int, Sequence[float]],
        labels: Sequence[str],
        most: float,
        *,
        style: str,
        name: str,
        y: Sequence[Tick],
        unit: str = "/s",
        lines: Sequence[Series] = (),
        position: Callable[[float], float] = float,
        height: int | None = None,
    ) -> Picture:
        """Draw cells by bin and row, the first row at the top, as opaque as they are large.

        Args:
            cells: By bin, then by row; rows that are missing at the end are zero.
            labels: What each row is.
            most: The value of an opaque cell; the scale is linear from 0.
            style: The class of the colour.
            name: An id that is unique on the page.
            y: Ticks of the rows.
            unit: The unit of the values.
            lines: Lines on the map.
            position: Where a value of a line is, from 0 at the bottom to 1.
            height: CSS pixels; by default what the rows need.
        """
        parts = min(_PARTS, max(64, 2 * len(self._bins)))
        rows = [bytearray(parts) for _ in labels]
        for at, first, last in self._bins.spread(parts):
            for row, value in enumerate(cells.get(at, ())):
                if value > 0:
                    level = min(math.ceil(_DARKEST * value / most), _DARKEST) if most else 0
                    for part in range(first, last):
                        rows[row][part] = max(rows[row][part], level)
        size = f'width="{WIDTH}" height="{HEIGHT}"'
        shapes = [
            f'<mask id="{name}" maskUnits="userSpaceOnUse" x="0" y="0" {size}>',
            f'<image {size} preserveAspectRatio="none" href="{png.grey(rows)}"/></mask>',
            f'<rect class="{style}" {size} mask="url(#{name})"/>',
            *(self._line(line, position) for line in lines),
        ]
        data = {
            "rows": list(labels),
            "most": _short(most),
            "unit": unit,
            "series": [_data(line) for line in lines],
            "of_lines": "ns",
        }
        return self._picture(shapes, height or min(max(6 * len(labels), 72), 288), y, data)

    def dots(self, points: Sequence[tuple[float, float, str, str]], y: Sequence[Tick]) -> Picture:
        """Draw points (time, height from 0 to 1, class, description)."""
        shapes: dict[str, list[str]] = {}
        for time, height, style, _ in points:
            at = f"M{self._at(time)} {_y(height)}h0"
            shapes.setdefault(style, []).append(at)
        paths = [f'<path class="dots {k}" d="{"".join(ats)}"/>' for k, ats in shapes.items()]
        described = [[round(time - self._begin, 6), text] for time, _, _, text in points]
        return self._picture(paths, 220, y, {"points": described, "unit": "", "series": []})

    def times(self) -> dict[str, Any]:
        """Return the time of the bins, in seconds from the beginning, for the page's script."""
        return {
            "begin": self._begin,
            "span": self._end - self._begin,
            "starts": [round(start - self._begin, 3) for start in self._bins.starts],
            "ends": [round(end - self._begin, 3) for end in self._bins.ends],
        }

    def _picture(
        self, shapes: Sequence[str], height: int, y: Sequence[Tick], data: Mapping[str, Any]
    ) -> Picture:
        return Picture(Markup("".join(shapes)), height, self._x, y, data)  # noqa: S704 - drawn

    def _at(self, time: float) -> int:
        span = self._end - self._begin
        return round(WIDTH * (time - self._begin) / span) if span > 0 else 0

    def _line(self, line: Series, position: Callable[[float], float]) -> str:
        path = "".join(
            "M" + "H".join(self._steps(run, [_y(position(line.values[at] or 0)) for at in run]))
            for run in self._runs(line.values)
        )
        return f'<path class="line {line.style}" d="{path}"/>'

    def _areas(
        self,
        bases: Sequence[float],
        tops: Sequence[float],
        values: Values,
        position: Callable[[float], float],
    ) -> Iterator[str]:
        for run in self._runs(values):
            upper = [_y(position(tops[at])) for at in run]
            lower = [_y(position(bases[at])) for at in run]
            if upper == lower:
                continue
            there = "H".join(self._steps(run, upper))
            back = "H".join(self._steps(run[::-1], lower[::-1], back=True))
            yield f"M{there}V{back.partition(' ')[2]}z"

    def _steps(self, run: Sequence[int], ys: Sequence[int], *, back: bool = False) -> Iterator[str]:
        """Yield pieces of a path, to be joined by H: it goes to the end of a bin, then up or down.

        The first piece is ``x y`` of the beginning.
        """
        begin, end = (1, 0) if back else (0, 1)
        yield f"{self._edges[run[0]][begin]} {ys[0]}"
        for place, at in enumerate(run[:-1]):
            if ys[place + 1] != ys[place]:
                yield f"{self._edges[at][end]}V{ys[place + 1]}"
        yield f"{self._edges[run[-1]][end]}"

    def _runs(self, values: Values) -> Iterator[range]:
        """Yield runs of bins that have values and no time without samples in between."""
        first = 0
        for at, value in enumerate(values):
            if value is None:
                if at > first:
                    yield range(first, at)
                first = at + 1
            elif at in self._gaps:
                yield range(first, at + 1)
                first = at + 1
        if first < len(values):
            yield range(first, len(values))


def _y(position: float) -> int:
    return round(HEIGHT * (1 - min(max(position, 0.0), 1.0)))


def _zeros(values: Values) -> list[float]:
    return [value or 0.0 for value in values]


def _data(one: Series) -> list[Any]:
    return [one.name, one.style, [None if v is None else _short(v) for v in one.values]]


def _short(value: float) -> float:
    """Return a number with the digits that are shown, as JSON writes it shortest."""
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded == int(rounded) else rounded
