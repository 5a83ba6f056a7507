"""Draw the pictures as SVG with matplotlib, in colours that the page defines.

A static SVG needs no script, opens anywhere, prints, scales, and its letters are text. Placeholder
colours are replaced by the page's CSS variables, so one picture serves the light and dark schemes.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import dates, ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from PIL import Image

from kstats.arch.base import Column
from kstats.report.timeline import Floats, Timeline

_INK, _FAINT, _PAGE, _PEAK = "#0a0c00", "#0a0c01", "#0a0c02", "#0a0c03"
_NAMED = {_INK: "ink", _FAINT: "faint", _PAGE: "page", _PEAK: "peak"}
SERIES = 14
"""Colours that the page has for columns and hosts; more begin anew."""

_VARIABLES = {f"#0a0b{i:02x}": f"s{i}" for i in range(SERIES)} | _NAMED

_INCH = 96
"""CSS pixels."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "kstats",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _FAINT,
    "grid.linewidth": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}

# From nothing to much, readable on white and on black: it ends opaque, and it begins clear.
_HEAT = LinearSegmentedColormap.from_list(
    "heat",
    [
        (0.23, 0.51, 0.96, 0.0),
        (0.23, 0.51, 0.96, 0.55),
        (0.66, 0.33, 0.97, 0.8),
        (0.93, 0.28, 0.60, 0.95),
        (1.00, 0.62, 0.11, 1.0),
    ],
    N=32,
)
MAP_PARTS = 256
"""Of time in a map, which is drawn in less than 500 pixels."""

_SHORTEST = 1 / 86400
"""An axis of time is not shorter, days."""

HEAT_CSS = ", ".join(
    "rgb({:.0f} {:.0f} {:.0f} / {:.2f})".format(
        *(255 * c for c in _HEAT(i / 8)[:3]), _HEAT(i / 8)[3]
    )
    for i in range(9)
)
"""The same scale as stops of a CSS gradient."""


def colour(place: int, column: Column | None = None) -> str:
    """Return the CSS variable of a series by index; ``other`` always has the last one."""
    return f"--s{_number(place, column)}"


def stacked(timeline: Timeline, name: str) -> str:
    """Draw mean exits per second over time, stacked by column; a line shows the busiest samples."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(1040, 300)
        moments, steps = _steps(timeline)
        base = np.zeros(timeline.bins)
        for place, column in enumerate(timeline.columns):
            rates = timeline.rates[:, place]
            if np.nansum(rates):
                areas = steps(base), steps(base + rates)
                axes.fill_between(moments, *areas, color=_series(place, column), linewidth=0)
                base = base + rates
        if timeline.samples_per_bin > 1:
            axes.plot(moments, steps(timeline.highest), color=_PEAK, linewidth=0.9)
        _time_axis(axes, timeline)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("exits per second")
        _thousands(axes.yaxis)
        axes.grid(axis="y")
        return _svg(figure, name)


def heat(timeline: Timeline, column: int | None, name: str) -> str:
    """Draw exits per second by CPU and time; each cell shows the maximum of its samples."""
    with mpl.rc_context(_STYLE):
        cells = timeline.spread(column, MAP_PARTS)
        figure, axes = _figure(508, 84 + min(max(3 * timeline.bands, 60), 300))
        begin, end = _time_axis(axes, timeline)
        axes.imshow(
            cells.T,
            cmap=_HEAT,
            norm=PowerNorm(0.5, 0, max(float(cells.max()), 1e-9)),
            aspect="auto",
            origin="lower",
            interpolation="none",
            extent=(begin, end, -0.5, timeline.bands - 0.5),
        )
        axes.set_ylabel("CPU")
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value * timeline.cpus_per_band:g}")
        return _svg(figure, name)


def bars(groups: Mapping[str, Sequence[float | None]], unit: str) -> str:
    """Draw groups of bars, all of the same size; None is drawn as a cross."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(1040, 280)
        several = max(map(len, groups.values()), default=1)
        width = 0.8 / several
        for place in range(several):
            heights = [values[place] for values in groups.values()]
            left = [i - 0.4 + width * (place + 0.5) for i in range(len(groups))]
            axes.bar(left, [h or 0 for h in heights], width * 0.92, color=_series(place))
            missing = [x for x, h in zip(left, heights, strict=True) if h is None]
            if missing:
                axes.plot(missing, [0] * len(missing), "x", color=_INK, markersize=4, clip_on=False)
        axes.set_xticks(range(len(groups)), list(groups))
        axes.set_xlim(-0.5, max(len(groups), 1) - 0.5)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel(unit)
        _thousands(axes.yaxis)
        axes.grid(axis="y")
        return _svg(figure, "comparison")


def _number(place: int, column: Column | None) -> int:
    return SERIES - 1 if column and column.key == "other" else place % (SERIES - 1)


def _series(place: int, column: Column | None = None) -> str:
    return f"#0a0b{_number(place, column):02x}"


def _figure(width: int, height: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width / _INCH, height / _INCH), layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    return figure, axes


def _steps(timeline: Timeline) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Return both ends of each bin, and a function that repeats the figures of bins there.

    The line is interrupted where samples are missing between two bins.
    """
    starts, ends = timeline.starts, timeline.ends
    at = 2 * np.flatnonzero(starts[1:] - ends[:-1] > (ends - starts)[:-1] / 2) + 2
    moments = np.insert(_days(np.column_stack([starts, ends]).ravel()), at, np.nan)
    return moments, lambda values: np.insert(np.repeat(values, 2), at, np.nan)


def _days(seconds: Floats) -> Floats:
    """Convert seconds since the epoch to days, the unit of matplotlib."""
    return seconds / 86400


def _time_axis(axes: Axes, timeline: Timeline) -> tuple[float, float]:
    """Make the x axis one of time in UTC; return its ends."""
    locator = dates.AutoDateLocator(tz=UTC, minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC))
    axes.xaxis.get_offset_text().set_color(_INK)
    begin, end = map(float, _days(np.array([timeline.starts[0], timeline.ends[-1]])))
    end = max(end, begin + _SHORTEST)
    axes.set_xlim(begin, end)
    return begin, end


def _thousands(axis: Axis) -> None:
    axis.set_major_formatter(ticker.EngFormatter(sep=""))


def _svg(figure: Figure, name: str) -> str:
    """Return the svg element in the page's colours, with ids that are unique on the page."""
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(stream, format="svg", metadata=nothing)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"data:image/png;base64,([^\"]+)", _indexed, text)
    # Drop the size and style, which the page defines, and digits that nobody can see.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[0-9.]+pt"| xmlns(?::xlink)?="[^"]*"', "", text)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", text)
    text = re.sub("#0a0[bc][0-9a-f]{2}", lambda m: f"var(--{_VARIABLES[m[0]]})", text)
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def _indexed(image: re.Match[str]) -> str:
    """Return the image with a palette of few colours, which is a fifth of the size."""
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image[1]))).convert("RGBA"))
    colours, places = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
    small = Image.fromarray(places.reshape(pixels.shape[:2]).astype(np.uint8), "P")
    small.putpalette(colours[:, :3].tobytes())
    stream = io.BytesIO()
    small.save(stream, "PNG", transparency=colours[:, 3].tobytes(), optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
