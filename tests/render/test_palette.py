"""The colours of the categories can be seen and told apart, also by colour-blind people."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import pytest

from kstats.arch.base import Category
from kstats.render.palette import COLOURS, PAGE_DARK, PAGE_LIGHT, Colour

Triple = tuple[float, float, float]

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
SIGHT: dict[str, tuple[Triple, Triple, Triple]] = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
# OKLab, Ottosson 2020: linear RGB to cone responses, their cube roots to L, a, b.
CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
LUMINANCE = (0.2126, 0.7152, 0.0722)
CUBE = (0, 95, 135, 175, 215, 255)


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def product(matrix: Sequence[Triple], vector: Sequence[float]) -> list[float]:
    return [dot(row, vector) for row in matrix]


def linear(colour: str) -> list[float]:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]


def seen(colour: str, sight: str) -> list[float]:
    """Return a colour in OKLab, as people with this sight see it."""
    shown = [min(max(c, 0), 1) for c in product(SIGHT[sight], linear(colour))]
    return product(LAB, [c ** (1 / 3) for c in product(CONES, shown)])


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.1."""
    low, high = sorted(dot(LUMINANCE, linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def xterm(number: int) -> str:
    """Return the colour of xterm's table: a cube of 6 by 6 by 6 from 16, then 24 greys."""
    if number >= 232:
        return f"#{8 + 10 * (number - 232):02x}" + f"{8 + 10 * (number - 232):02x}" * 2
    red, rest = divmod(number - 16, 36)
    return "#" + "".join(f"{CUBE[i]:02x}" for i in (red, *divmod(rest, 6)))


def test_every_category_has_a_colour() -> None:
    assert list(COLOURS) == list(Category)


SYSTEMS: dict[str, Callable[[Colour], str]] = {
    "light": lambda colour: colour.light,
    "dark": lambda colour: colour.dark,
    "xterm": lambda colour: xterm(colour.xterm),
}


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(("system", "least"), [("light", 0.10), ("dark", 0.11), ("xterm", 0.07)])
def test_any_two_can_be_distinguished(system: str, least: float, sight: str) -> None:
    """A distance of 0.02 in OKLab is just noticeable side by side; these are far above it."""
    colours = {name: SYSTEMS[system](colour) for name, colour in COLOURS.items()}
    for one, other in combinations(colours, 2):
        distance = math.dist(seen(colours[one], sight), seen(colours[other], sight))
        assert distance >= least, (one, other)


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_all_can_be_seen(colour: Colour) -> None:
    """WCAG 2.1, 1.4.11, requires 3:1; terminals may be black or white, so 2.5:1 on both."""
    assert contrast(colour.light, PAGE_LIGHT) >= 3
    assert contrast(colour.dark, PAGE_DARK) >= 3
    for ground in ("#000000", "#ffffff"):
        assert contrast(xterm(colour.xterm), ground) >= 2.5


def test_eight_colours_serve_every_category() -> None:
    names = [colour.ansi for colour in COLOURS.values()]
    assert set(names) == {"red", "green", "yellow", "blue", "magenta", "cyan", "white"}
