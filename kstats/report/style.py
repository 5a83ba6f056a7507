"""The colours of the page as CSS: variables for both schemes, and a class for each colour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kstats.arch.base import Category
from kstats.render.palette import COLOURS, PAGE_DARK, PAGE_LIGHT

SHADES = (0.0, 0.22, 0.4, 0.54, 0.66, 0.75)
"""How much of the page's colour is in the first, second … column of a category."""

STATES: Mapping[str, float] = {
    "guest": 0.88,
    "halted": 0.72,
    "kernel": 0.5,
    "vmm": 0.25,
    "waiting": 0.0,
}
"""How much of the page's colour is in each state of a vCPU; the rest is that of text."""

_PAGE: Mapping[str, tuple[str, str]] = {
    "page": (PAGE_LIGHT, PAGE_DARK),
    "card": ("#f6f7f9", "#1c2027"),
    "line": ("#dfe3e8", "#2e343d"),
    "faint": ("#a9b1bc", "#565e69"),
    "ink": ("#1d232b", "#e4e8ee"),
    "soft": ("#59636f", "#a2acb8"),
    "link": ("#0b57c4", "#7db2ff"),
}


def of(category: Category, shade: int = 0) -> str:
    """Return the class of a category's colour; columns beyond the last shade share it."""
    return f"k-{category}-{min(shade, len(SHADES) - 1)}"


def css() -> str:
    """Return rules that define the colours.

    Browsers since 2024 choose by ``light-dark()``, which follows the switch of the page; older ones
    by media query.
    """
    pairs = _pairs()
    light, dark = (
        "".join(f"--{name}:{pair[i]};" for name, pair in pairs.items()) for i in range(2)
    )
    both = "".join(f"--{name}:light-dark({a},{b});" for name, (a, b) in pairs.items())
    classes = "".join(f".{name}{{color:var(--{name})}}" for name in pairs if name.startswith("k-"))
    return (
        f":root{{color-scheme:light dark;{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f"@supports (color:light-dark(#000,#fff)){{:root{{{both}}}}}\n"
        f"{classes}\n"
    )


def _pairs() -> dict[str, tuple[str, str]]:
    ink = _PAGE["ink"]
    states = {f"k-{state}": _mixed(ink, part) for state, part in STATES.items()}
    return {**_PAGE, **dict(_categories()), **states, "k-ink": ink}


def _categories() -> Iterator[tuple[str, tuple[str, str]]]:
    for category, colour in COLOURS.items():
        for shade, part in enumerate(SHADES):
            yield of(category, shade), _mixed((colour.light, colour.dark), part)


def _mixed(colours: tuple[str, str], part: float) -> tuple[str, str]:
    """Return the colours for both schemes with this part of the page's in them."""
    light, dark = (
        "#"
        + "".join(
            f"{round(int(a[i : i + 2], 16) * (1 - part) + int(b[i : i + 2], 16) * part):02x}"
            for i in (1, 3, 5)
        )
        for a, b in zip(colours, (PAGE_LIGHT, PAGE_DARK), strict=True)
    )
    return light, dark
