"""What sections of the page are made of: figures, rankings and tables."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from kstats.model import Code
from kstats.report.pictures import Picture


@attrs.frozen
class Entry:
    """An entry of a legend: the class of its colour, its name and a remark."""

    style: str
    name: str
    remark: str = ""
    title: str = ""


@attrs.frozen(eq=False)
class Figure:
    """A picture with its title, text alternative and legend; ``scale`` is its largest value."""

    anchor: str
    title: str
    words: str
    picture: Picture
    legend: Sequence[Entry] = ()
    remark: str = ""
    scale: tuple[str, str] | None = None
    folded: bool = False


@attrs.frozen
class Rank:
    """A row of a ranking.

    Attributes:
        name: Its heading, which links to the explanation of ``code``.
        count: What rows are compared by.
        parts: The bar: (class, amount) of each part.
        cells: What follows the bar.
        links: Reasons to explain, as (code, name).
        prose: The last cell, after ``links``.
    """

    name: str
    count: int
    parts: tuple[tuple[str, float], ...] = ()
    cells: tuple[str, ...] = ()
    prose: str = ""
    code: Code | None = None
    links: tuple[tuple[Code, str], ...] = ()


@attrs.frozen(eq=False)
class Ranking:
    """A table with bars; the longest stands for ``most``."""

    headings: Sequence[str]
    ranks: Sequence[Rank]
    most: float
    prose: str = ""


@attrs.frozen
class Grid:
    """A table of texts; the first cell of each row is a heading."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
