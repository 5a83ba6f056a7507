"""The only part of ``kstats top`` that knows the terminal: curses draws lines and reads keys."""

from __future__ import annotations

import array
import contextlib
import curses
import fcntl
import locale
import os
import select
import signal
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from kstats.arch.base import Category
from kstats.errors import KstatsError
from kstats.render.palette import COLOURS
from kstats.top.styled import Line, Look, Size, Style

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that end the program with the terminal restored."""

_OTHERS = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)
_ESCAPE_MS = 25
_MANY_COLOURS, _FEW_COLOURS = 256, 8
_ANSI = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")

_KEYS: Mapping[int | str, str] = {
    curses.KEY_UP: "Up",
    curses.KEY_DOWN: "Down",
    curses.KEY_LEFT: "Left",
    curses.KEY_RIGHT: "Right",
    curses.KEY_PPAGE: "PageUp",
    curses.KEY_NPAGE: "PageDown",
    curses.KEY_HOME: "Home",
    curses.KEY_END: "End",
    curses.KEY_ENTER: "Enter",
    curses.KEY_BACKSPACE: "Backspace",
    **{curses.KEY_F0 + n: f"F{n}" for n in range(1, 13)},
    "\n": "Enter",
    "\r": "Enter",
    "\x1b": "Esc",
    "\x7f": "Backspace",
    "\b": "Backspace",
}


@contextmanager
def terminal() -> Iterator[Painter]:
    """Give the terminal in full-screen mode; restore it however the block ends.

    Raises:
        KstatsError: The terminal cannot show a full screen.
    """
    with contextlib.suppress(locale.Error):  # ssh passes on locales that this host may not have
        locale.setlocale(locale.LC_CTYPE, "")
    if not _can_draw():
        raise KstatsError(
            f"cannot draw on a terminal of the type {os.environ.get('TERM', '')!r}",
            "set TERM to its type, as in TERM=xterm; types are in the package ncurses-base",
        )
    with _noted_signals() as noted:
        curses.set_escdelay(_ESCAPE_MS)
        window = curses.initscr()
        try:
            yield Painter(window, noted)
        finally:
            with contextlib.suppress(curses.error):
                curses.endwin()


def _can_draw() -> bool:
    """Return whether the terminal's type is known, and its cursor can be moved."""
    try:
        curses.setupterm()
    except curses.error:
        return False
    return bool(curses.tigetstr("cup"))


@contextmanager
def _noted_signals() -> Iterator[int]:
    """Give a descriptor that has the number of each signal that comes, as a byte."""
    noted, note = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    wanted = [n for n in (*ENDING, *_OTHERS) if signal.getsignal(n) is not signal.SIG_IGN]
    before = signal.set_wakeup_fd(note, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _ignore) for number in wanted}
    try:
        yield noted
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(noted)
        os.close(note)


def _ignore(*_: object) -> None:
    """Handle a signal: its number is in the pipe already."""


class Painter:
    """Draws lines and reads keys.

    Attributes:
        look: What the terminal can show.
        ended: Whether a signal or the end of the terminal asks the program to end.
    """

    def __init__(self, window: curses.window, noted: int) -> None:
        self._window = window
        self._noted = noted
        self._drawn: list[Line] = []
        self._attributes: dict[Style, int] = {}
        self.ended = False
        curses.noecho()
        curses.cbreak()
        window.keypad(True)  # noqa: FBT003 - curses takes no keyword
        window.nodelay(True)  # noqa: FBT003
        with contextlib.suppress(curses.error):  # not every terminal can hide its cursor
            curses.curs_set(0)
        self._pairs = _colour_pairs()
        unicode = locale.nl_langinfo(locale.CODESET).upper() in ("UTF-8", "UTF8")
        self.look = Look(unicode=unicode, colour=bool(self._pairs))

    @property
    def size(self) -> Size:
        """The size of the terminal."""
        rows, columns = self._window.getmaxyx()
        return Size(columns, rows)

    def paint(self, lines: Sequence[Line]) -> None:
        """Draw lines; what has not changed is not sent."""
        for row, line in enumerate(lines):
            if row < len(self._drawn) and self._drawn[row] == line:
                continue
            with contextlib.suppress(curses.error):  # a resize is not known yet
                self._window.move(row, 0)
                for text, style in line:
                    self._window.addstr(text, self._attribute(style))
        self._drawn = list(lines)
        self._window.refresh()

    def key(self, seconds: float | None) -> str:
        """Return the next key, or an empty text after ``seconds``, a resize or a signal."""
        if key := self._key():
            return key
        ready, _, _ = select.select([sys.stdin, self._noted], [], [], seconds)
        if self._noted in ready:
            for number in os.read(self._noted, 1 << 12):
                self._signalled(number)
        elif ready:
            if not _has_input():
                self.ended = True
            return self._key()
        return ""

    def _key(self) -> str:
        """Return a key that was pressed, or an empty text."""
        try:
            key = self._window.get_wch()
        except curses.error:
            return ""
        if key in _KEYS:
            return _KEYS[key]
        return "Space" if key == " " else key if isinstance(key, str) and key.isprintable() else ""

    def _signalled(self, number: int) -> None:
        if number in ENDING:
            self.ended = True
        elif number == signal.SIGTSTP:
            self._stop()
        else:
            self._restore()

    def _stop(self) -> None:
        """Stop as other programs do on ^Z, with the terminal as it was before."""
        curses.endwin()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)
        self._restore()

    def _restore(self) -> None:
        """Draw everything anew, in the present size: the terminal was resized or used by others."""
        curses.endwin()
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
            curses.resizeterm(rows, columns)
        self._drawn = []
        self._window.clearok(True)  # noqa: FBT003
        self._window.refresh()

    def _attribute(self, style: Style) -> int:
        known = self._attributes.get(style)
        if known is None:
            known = self._pairs.get(style.category, 0) if style.category else 0
            known |= curses.A_BOLD if style.bold else 0
            known |= curses.A_DIM if style.dim else 0
            known |= curses.A_REVERSE if style.reverse else 0
            self._attributes[style] = known
        return known


def _has_input() -> bool:
    """Return whether a readable standard input has bytes; it has none once the terminal is gone."""
    waiting = array.array("i", [0])
    try:
        fcntl.ioctl(sys.stdin.fileno(), termios.FIONREAD, waiting)
    except OSError:
        return False
    return waiting[0] > 0


def _colour_pairs() -> Mapping[Category, int]:
    """Return the attribute of each category's colour; none if there are no colours."""
    # https://no-color.org: any value but the empty one turns colour off.
    if os.environ.get("NO_COLOR") or curses.tigetnum("colors") < _FEW_COLOURS:
        return {}
    curses.start_color()
    curses.use_default_colors()
    many = curses.COLORS >= _MANY_COLOURS
    for number, colour in enumerate(COLOURS.values(), 1):
        curses.init_pair(number, colour.xterm if many else _ANSI.index(colour.ansi), -1)
    return {category: curses.color_pair(n) for n, category in enumerate(COLOURS, 1)}
