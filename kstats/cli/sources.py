"""Sources of compare and report: recordings in files, and this host, live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import attrs

from kstats import recording
from kstats.cli import options, session
from kstats.errors import RecordingError, UsageError
from kstats.model import Sample
from kstats.recording.header import Header

LIVE = "live"
COUNT = 30
"""How many samples are taken of a live host; enough for percentiles."""


@attrs.frozen(eq=False)
class Source:
    """Samples of a host, and its label.

    ``header`` is that of a recording. ``faults`` has what ended the samples too early, once they
    were read.
    """

    label: str
    samples: Callable[[], Iterator[Sample]]
    header: Header | None = None
    faults: list[RecordingError] = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class SourceOptions:
    """Which sources, and how ``live`` is counted: as :func:`add_arguments` adds it."""

    sources: list[str]
    interval: float | None
    count: int | None
    probe: str | None
    debug: bool


def add_arguments(p: options.Parser) -> None:
    """Add the operands and the options of :class:`SourceOptions`."""
    add = p.add_argument
    add("sources", nargs="*", metavar="SOURCE", help="a recording, or live")
    interval = partial(options.seconds, what="--interval")
    text = "live: seconds between samples (default 1)"
    add("--interval", metavar="SECONDS", type=interval, help=text)
    count = partial(options.times, what="--count", without=f"take {COUNT}")
    add("--count", metavar="N", type=count, help=f"live: number of samples (default {COUNT})")
    add("--probe", metavar="PROBE", help="live: use this way to read exits; see kstats doctor")
    add("--debug", action="store_true", help="live: print what is loaded, and how")


@contextmanager
def opened(wanted: SourceOptions) -> Iterator[list[Source]]:
    """Give the sources in the order of the command line; close them at the end of the block.

    Raises:
        UsageError: There is no source, one is given twice, or an option needs ``live``.
        RecordingError: A file is not a recording.
    """
    words = wanted.sources
    if not words:
        raise UsageError("no source given", "name recordings, or live for this host")
    for word, times in Counter(words).items():
        if times > 1:
            raise UsageError(f"{word!r} is given twice", "name each source once")
    if LIVE not in words:
        _refuse(wanted)
    live = Source(LIVE, lambda: _live(wanted))
    with ExitStack() as files:
        yield [
            live if word == LIVE else _recorded(files.enter_context(recording.read(word)), label)
            for word, label in zip(words, labels(words), strict=True)
        ]


def _refuse(wanted: SourceOptions) -> None:
    for name in ("interval", "count", "probe"):
        if getattr(wanted, name) is not None:
            raise UsageError(f"--{name} needs the source live", "leave it out for recordings")


def labels(words: Sequence[str]) -> list[str]:
    """Return short names of files, or whole paths where short names are equal."""
    short = ["stdin" if word == "-" else _short(word) for word in words]
    times = Counter(short)
    return [name if times[name] == 1 else word for name, word in zip(short, words, strict=True)]


def _short(path: str) -> str:
    return Path(path).name.removesuffix(".zst").removesuffix(".jsonl") or path


def live_last(sources: Iterable[Source]) -> list[Source]:
    """Return recordings first, so that their errors show before the wait for this host."""
    return sorted(sources, key=lambda source: source.header is None)


def check(sources: Iterable[Source]) -> None:
    """Raise what ended a recording too early, after everything was shown.

    Of several errors the last is raised; the others are printed.
    """
    faults = [fault for source in sources for fault in source.faults]
    session.print_errors(map(str, faults[:-1]))
    if faults:
        raise faults[-1]


def _recorded(found: recording.Recording, label: str) -> Source:
    faults: list[RecordingError] = []
    return Source(label, lambda: _readable(found, faults), found.header, faults)


def _readable(found: recording.Recording, faults: list[RecordingError]) -> Iterator[Sample]:
    """Yield the samples; a message, not an error, reports an incomplete last line."""
    try:
        yield from found
    except RecordingError as fault:
        faults.append(fault)
    if found.tail:
        session.print_errors([f"{found.name}: {found.tail}"])


def _live(wanted: SourceOptions) -> Iterator[Sample]:
    from kstats.cli.live import all_threads  # noqa: PLC0415 - recordings do not need it

    interval = session.EVERY_SECOND if wanted.interval is None else wanted.interval
    with all_threads(wanted.probe) as collector:
        if wanted.debug:
            session.describe(collector)
        count = COUNT if wanted.count is None else wanted.count
        with closing(session.live(collector, interval, count)) as samples:
            yield from samples
