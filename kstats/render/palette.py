"""The colour of each category, on the page and in the terminal.

Colour means category, everywhere. Columns within a category are shades of its colour.

The colours were chosen by search: hues are those that the eight terminal colours allow, and the
smallest distance between any two, also as seen by people with protanopia, deuteranopia or
tritanopia, is as large as possible. Lightness therefore differs as much as hue. Each has a
contrast of 3:1 or more to its background, which WCAG 2.1 requires of graphics. The tests compute
both. Nine categories are too many for hue alone: always show the name beside the colour.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kstats.arch.base import Category


@attrs.frozen
class Colour:
    """One colour in each colour system.

    Attributes:
        light: On a light page, as ``#rrggbb``.
        dark: On a dark page, as ``#rrggbb``.
        xterm: In a terminal with 256 colours; visible on a black and on a white background.
        ansi: In a terminal with 8 colours. Two rare categories share theirs with another one.
    """

    light: str
    dark: str
    xterm: int
    ansi: str


COLOURS: Mapping[Category, Colour] = {
    Category.INTERRUPT: Colour("#1b3470", "#4b5fe5", 32, "blue"),
    Category.MEMORY: Colour("#a59500", "#face2f", 94, "yellow"),
    Category.IO: Colour("#d87183", "#cf401a", 197, "red"),
    Category.REGISTER: Colour("#387d33", "#aff6b8", 29, "green"),
    Category.IDLE: Colour("#3e9ec7", "#61d5db", 38, "cyan"),
    Category.SPIN: Colour("#926df6", "#cc7ffc", 92, "magenta"),
    Category.HYPERCALL: Colour("#b72194", "#9f4094", 126, "magenta"),
    Category.EXCEPTION: Colour("#722804", "#e88037", 172, "red"),
    Category.OTHER: Colour("#505459", "#888c92", 247, "white"),
}
"""The colours of all categories, in the order of :class:`~kstats.arch.base.Category`."""

PAGE_LIGHT, PAGE_DARK = "#ffffff", "#14171c"
"""The backgrounds of the page."""
