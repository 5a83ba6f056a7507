"""What to compare or to report on: recordings by their files, and this host, live."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import attrs

from kstats import recording
from kstats.cli import options, session
from kstats.collector.live import Collector, Target
from kstats.errors import RecordingError, UsageError
from kstats.host import Host
from kstats.model import Sample
from kstats.recording.header import Header
from kstats.vms.registry import VmRegistry

LIVE = "live"
COUNT = 30
"""Samples that are taken of a live host; enough for a spread."""


@attrs.frozen(eq=False)
class Source:
    """Samples, and what to call the host that they are of; ``header`` is a recording's.

    ``faults`` has, once its samples were taken, what ended them too soon.
    """

    label: str
    samples: Callable[[], Iterator[Sample]]
    header: Header | None = None
    faults: list[RecordingError] = attrs.field(factory=list)


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say how long ``live`` takes."""
    add = parser.add_argument
    add("--interval", metavar="SECONDS", help="of live: between samples (default 1)")
    add("--count", metavar="N", help=f"of live: samples (default {COUNT})")
    add("--probe", metavar="PROBE", help="of live: force one way of reading exits; see doctor")
    add("--debug", action="store_true", help="of live: say what is loaded, and how")


@contextmanager
def opened(words: Sequence[str], args: argparse.Namespace) -> Iterator[list[Source]]:
    """The sources by their names on the command line; every recording can be read so far.

    They are closed at the end of the block.

    Raises:
        UsageError: there are none, one is given twice, or options are of ``live``, which is none.
        RecordingError: a file is no recording.
    """
    if not words:
        raise UsageError("which recordings?", "name their files; live is this host from now on")
    for word, times in Counter(words).items():
        if times > 1:
            raise UsageError(f"{word!r} is given twice", "name each once")
    if LIVE not in words:
        _refuse(args)
    interval = 1.0 if args.interval is None else options.seconds(args.interval, "--interval")
    count = COUNT if args.count is None else options.times(args.count, "--count", f"take {COUNT}")
    live = Source(LIVE, lambda: _live(args, interval, count))
    with ExitStack() as files:
        yield [
            live if word == LIVE else _recorded(files.enter_context(recording.read(word)), label)
            for word, label in zip(words, labels(words), strict=True)
        ]


def _refuse(args: argparse.Namespace) -> None:
    for name in ("interval", "count", "probe"):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name} is of live: recordings are as they are", "leave it out")


def labels(words: Sequence[str]) -> list[str]:
    """Short names of files; those of namesakes are whole."""
    short = ["stdin" if word == "-" else _short(word) for word in words]
    times = Counter(short)
    return [name if times[name] == 1 else word for name, word in zip(short, words, strict=True)]


def _short(path: str) -> str:
    return Path(path).name.removesuffix(".zst").removesuffix(".jsonl") or path


def live_last(sources: Iterable[Source]) -> list[Source]:
    """Whatever is wrong with a recording is told before a live host is waited for."""
    return sorted(sources, key=lambda source: source.header is None)


def check(sources: Iterable[Source]) -> None:
    """To be called when all is shown: raises what ended a recording too soon.

    Of several, the last; the others are said.
    """
    faults = [fault for source in sources for fault in source.faults]
    session.print_errors(map(str, faults[:-1]))
    if faults:
        raise faults[-1]


def _recorded(found: recording.Recording, label: str) -> Source:
    faults: list[RecordingError] = []
    return Source(label, lambda: _readable(found, faults), found.header, faults)


def _readable(found: recording.Recording, faults: list[RecordingError]) -> Iterator[Sample]:
    """Its samples; an end amid a line is said, and no error."""
    try:
        yield from found
    except RecordingError as fault:
        faults.append(fault)
    if found.tail:
        session.print_errors([f"{found.name}: {found.tail}"])


def _live(args: argparse.Namespace, interval: float, count: int) -> Iterator[Sample]:
    host = Host()
    target = Target.find(host, probe=args.probe)
    with Collector(target, target.per_thread(), VmRegistry(host)) as collector:
        if args.debug:
            session.describe(collector)
        with closing(session.live(collector, interval, count)) as samples:
            yield from samples
