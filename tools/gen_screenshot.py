"""Write docs/top.svg, a screen of ``kstats top`` on an example recording, and docs/top.md's keys.

With ``--check`` write nothing and exit with status 1 if a file is out of date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

from kstats import recording
from kstats.columns import width
from kstats.render.palette import COLOURS, PAGE_DARK
from kstats.top.keys import BINDINGS, pressed
from kstats.top.screen import screen
from kstats.top.state import Screen, State, Status, advanced
from kstats.top.styled import Line, Size, Span

ROOT = Path(__file__).parent.parent
RECORDING = ROOT / "examples" / "recordings" / "svm.jsonl"
SVG, PAGE = "docs/top.svg", "docs/top.md"
SIZE = Size(100, 24)
SAMPLES = 20

_CELL, _LINE, _EDGE = 8.4, 18, 12
_INK, _DIM = "#e4e8ee", "#8b95a3"
_KEYS = ("<!-- keys: written by tools/gen_screenshot.py -->\n", "<!-- end of keys -->\n")


def svg() -> str:
    """Return the picture: the reasons of an emulated host, one of them selected."""
    with recording.read(RECORDING) as found:
        samples = [sample for sample, _ in zip(found, range(SAMPLES), strict=False)]
        title = found.header.isas[0].title
    status = Status("svm", title, live=False, position=f"svm.jsonl sample {SAMPLES}")
    state = State(screen=Screen.REASONS, status=status, speed=1)
    for sample in samples:
        state = advanced(state, sample)
    lines = screen(pressed(state, "Down", SIZE), SIZE)
    wide, high = SIZE.columns * _CELL + 2 * _EDGE, SIZE.rows * _LINE + 2 * _EDGE
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high}" role="img" '
        'aria-label="kstats top: exits of a host by category and reason" '
        'font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="14">'
    )
    back = f'<rect width="100%" height="100%" rx="8" fill="{PAGE_DARK}"/>'
    rows = (row for n, line in enumerate(lines) for row in _row(line, n))
    return "\n".join([head, back, *rows, "</svg>", ""])


def _row(line: Line, number: int) -> Iterator[str]:
    """Yield the elements of a line; each text is stretched to its cells, whatever the font."""
    column = 0
    top = _EDGE + number * _LINE
    for span in line:
        cells = width(span.text)
        x, wide = _EDGE + column * _CELL, cells * _CELL
        column += cells
        if span.style.reverse:
            fill = _colour(span)
            yield f'<rect x="{x:.1f}" y="{top}" width="{wide:.1f}" height="{_LINE}" fill="{fill}"/>'
        if not span.text.strip():
            continue
        if set(span.text) == {"█"}:
            size, fill = f'width="{wide:.1f}" height="{_LINE - 4}"', _ink(span)
            yield f'<rect x="{x:.1f}" y="{top + 2}" {size} fill="{fill}"/>'
            continue
        fill = _ink(span)
        weight = ' font-weight="bold"' if span.style.bold else ""
        yield (
            f'<text x="{x:.1f}" y="{top + 13}" textLength="{wide:.1f}" fill="{fill}"{weight} '
            f'xml:space="preserve">{escape(span.text)}</text>'
        )


def _ink(span: Span) -> str:
    return PAGE_DARK if span.style.reverse else _colour(span)


def _colour(span: Span) -> str:
    if span.style.category:
        return COLOURS[span.style.category].dark
    return _DIM if span.style.dim else _INK


def page(text: str) -> str:
    """Return docs/top.md with the present table of keys."""
    before, _, rest = text.partition(_KEYS[0])
    _, _, after = rest.partition(_KEYS[1])
    rows = ["| keys | what they do |", "|---|---|"]
    for binding in BINDINGS:
        names = " ".join(f"`{key}`" for key in binding.keys)
        rows.append(f"| {names} | {binding.text} |")
    table = "\n".join(rows)
    return f"{before}{_KEYS[0]}\n{table}\n\n{_KEYS[1]}{after}"


def main() -> int:
    """Write or check the files; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    made = {SVG: svg(), PAGE: page((ROOT / PAGE).read_text(encoding="utf-8"))}
    stale = 0
    for name, text in made.items():
        file = ROOT / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            stale += 1
            if check:
                print(f"{name} is out of date: run python -m tools.gen_screenshot", file=sys.stderr)
            else:
                file.write_text(text, encoding="utf-8")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
