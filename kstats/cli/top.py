"""``kstats top``: a full-screen view of this host or of a recording."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import attrs

from kstats import durations
from kstats.cli import options, session, streams
from kstats.errors import UsageError
from kstats.recording.reader import STDIN

if TYPE_CHECKING:
    from kstats.top.app import Source

_DESCRIPTION = """\
  kstats top                      this host, a sample every second
  kstats top --delay 5            every five seconds
  kstats top --input FILE         a recording: play it, step, jump, compare
  kstats demo                     a recording that comes with kstats

Press ? for the keys. docs/top.md describes the screens.
"""

_EPILOG = """\
The last screen stays on the terminal as text. Exit status: see kstats --help.
"""

_SCREENS = ("cpus", "vms", "vcpus", "reasons", "slow")
_THRESHOLD = "1ms"
_RECORD = "kstats.jsonl.zst"


@attrs.frozen(kw_only=True)
class TopOptions:
    """The options of ``kstats top``.

    Attributes:
        delay: Seconds between samples; None for one second, or as a recording was made.
        screen: The first screen, one of its names.
        input: The recording to show; None to count on this host.
        record: Where the key R records to.
        slower_than: Exits that take longer are slow, as a duration.
        probe: The way to read exits; None for the best.
        loader: The way to load programs; None for the best.
        debug: Accepted everywhere.
    """

    delay: float | None = None
    screen: str = _SCREENS[0]
    input: str | None = None
    record: str = _RECORD
    slower_than: str = _THRESHOLD
    probe: str | None = None
    loader: str | None = None
    debug: bool = False


def parser() -> options.Parser:
    """Return the command line of ``kstats top``."""
    p = options.Parser.of("top", "", _DESCRIPTION, _EPILOG)
    add = p.add_argument
    delay = partial(options.seconds, what="--delay")
    text = "seconds between samples (default 1, or as recorded)"
    add("-d", "--delay", metavar="SECONDS", type=delay, help=text)
    add("--screen", choices=_SCREENS, default=_SCREENS[0], help="the first screen (default cpus)")
    add("--input", metavar="FILE", help="show a recording; - is standard input")
    text = f"the key R records to this file (default {_RECORD})"
    add("--record", metavar="FILE", default=_RECORD, help=text)
    text = f"exits that take longer are slow, once L measures them (default {_THRESHOLD})"
    add("--slower-than", metavar="TIME", default=_THRESHOLD, type=_threshold, help=text)
    add("--probe", metavar="PROBE", help="use this way to read exits; see kstats doctor")
    add("--loader", metavar="LOADER", help="load programs this way: prebuilt or bcc")
    p.add_debug()
    return p


def run(words: list[str]) -> int:
    """Run ``kstats top``; return the exit status."""
    return shown(parser().parse(words, TopOptions))


def shown(wanted: TopOptions) -> int:
    """Show the screen until it is left; return the exit status."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("kstats top needs a terminal", "kstats cpu and kstats exits print tables")
    from kstats.top import app, command  # noqa: PLC0415 - help needs neither these nor curses
    from kstats.top.painter import terminal  # noqa: PLC0415
    from kstats.top.state import Screen, State  # noqa: PLC0415
    from kstats.top.styled import text_of  # noqa: PLC0415

    if wanted.input == STDIN:
        raise UsageError(
            "kstats top reads keys from standard input", "save the recording to a file"
        )
    first = State(screen=Screen(_SCREENS.index(wanted.screen) + 1))
    with terminal() as painter:
        state = app.greet(painter, first)
        with _source(wanted) as source:
            state, lines = app.run(painter, source, state)
    texts = "\n".join(map(text_of, lines[:-1])).rstrip()
    with streams.writing() as out:
        out.write(f"{texts}\n")
        if state.argument:
            out.write(f"{command.command(state, wanted.input, wanted.slower_than)}\n")
    return source.status


def _source(wanted: TopOptions) -> Source:
    if wanted.input is None:
        from kstats.top.live import Live, Wanted  # noqa: PLC0415 - recordings do not need it

        interval = session.EVERY_SECOND if wanted.delay is None else wanted.delay
        threshold = durations.parse(wanted.slower_than) or 0
        return Live(Wanted(interval, threshold, wanted.record, wanted.probe, wanted.loader))
    from kstats.top.recorded import Recorded  # noqa: PLC0415 - live counting does not need it

    return Recorded(wanted.input, wanted.delay)


def _threshold(text: str) -> str:
    if durations.parse(text) is None:
        raise UsageError(
            f"invalid duration {text!r} for --slower-than", "give a number and a unit, like 500us"
        )
    return text
