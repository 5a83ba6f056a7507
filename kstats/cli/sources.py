"""Sources of compare and report: recordings in files, hosts in Prometheus, this host live."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import attrs

from kstats import recording
from kstats.cli import options, session
from kstats.errors import KstatsError, RecordingError, UsageError
from kstats.model import Sample
from kstats.recording.header import Header

LIVE = "live"
PROMETHEUS = ("prom+http://", "prom+https://")
COUNT = 30
"""How many samples are taken of a live host; enough for percentiles."""


@attrs.frozen(eq=False)
class Source:
    """Samples of a host, and its label.

    ``header`` is that of a recording, or describes hosts in Prometheus. ``faults`` has what ended
    the samples too early, once they were read.
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
    loader: str | None
    debug: bool
    header: list[tuple[str, str]]
    bearer_token_file: str | None
    basic_auth_file: str | None
    ca_file: str | None

    @property
    def writes(self) -> str | None:
        """The file that is written after the sources were read."""
        return None


def add_arguments(p: options.Parser) -> None:
    """Add the operands and the options of :class:`SourceOptions`."""
    add = p.add_argument
    add("sources", nargs="*", metavar="SOURCE", help="a recording, live, or prom+http://…")
    interval = partial(options.seconds, what="--interval")
    text = "live: seconds between samples (default 1)"
    add("--interval", metavar="SECONDS", type=interval, help=text)
    count = partial(options.times, what="--count", without=f"take {COUNT}")
    add("--count", metavar="N", type=count, help=f"live: number of samples (default {COUNT})")
    add("--probe", metavar="PROBE", help="live: use this way to read exits; see kstats doctor")
    add("--loader", metavar="LOADER", help="live: load programs this way: prebuilt or bcc")
    add("--debug", action="store_true", help="live: print what is loaded, and how")
    text = "prom: send this with each request, like X-Scope-OrgID:team; can be repeated"
    add("--header", metavar="HEADER", action="append", default=[], type=_header, help=text)
    text = "prom: send the token in this file"
    add("--bearer-token-file", metavar="FILE", help=text)
    text = "prom: send the USER:PASSWORD in this file"
    add("--basic-auth-file", metavar="FILE", help=text)
    text = "prom: trust the certificates in this file, in place of the system's"
    add("--ca-file", metavar="FILE", help=text)


def _header(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"([A-Za-z0-9-]{1,64}):\s*([ -~]{1,1000})", text, re.ASCII)
    if not match:
        raise UsageError(f"invalid header {text!r}", "give it like X-Scope-OrgID:team")
    return match[1], match[2]


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
    _refuse(wanted)
    with ExitStack() as files:
        yield [_opened(word, label, wanted, files) for word, label in _labelled(words)]


def _opened(word: str, label: str, wanted: SourceOptions, files: ExitStack) -> Source:
    if word == LIVE:
        return Source(LIVE, lambda: _live(wanted))
    if word.startswith(PROMETHEUS):
        return _queried(word, label, wanted)
    return _recorded(files.enter_context(recording.read(word)), label)


def _refuse(wanted: SourceOptions) -> None:
    """Raise UsageError for an option that none of the sources has a use for."""
    if LIVE not in wanted.sources:
        for name in ("interval", "count", "probe", "loader"):
            if getattr(wanted, name) is not None:
                raise UsageError(f"--{name} needs the source live", "leave it out for recordings")
    if not any(word.startswith(PROMETHEUS) for word in wanted.sources):
        for name in ("header", "bearer_token_file", "basic_auth_file", "ca_file"):
            if getattr(wanted, name):
                option = name.replace("_", "-")
                raise UsageError(
                    f"--{option} needs a source like prom+http://…", "leave it out for recordings"
                )


def _labelled(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(words, labels(words), strict=True)


def labels(words: Sequence[str]) -> list[str]:
    """Return short names of files, or whole paths where short names are equal."""
    short = [_short(word) for word in words]
    times = Counter(short)
    return [name if times[name] == 1 else word for name, word in zip(short, words, strict=True)]


def _short(path: str) -> str:
    if path == "-":
        return "stdin"
    if path.startswith(PROMETHEUS):
        from kstats.prometheus.address import Address  # noqa: PLC0415 - recordings do not need it

        return Address.parse(path).label
    return Path(path).name.removesuffix(".zst").removesuffix(".jsonl") or path


def live_last(sources: Iterable[Source]) -> list[Source]:
    """Return recordings first, so that their errors show before the wait for this host."""
    return sorted(sources, key=lambda source: source.header is None)


def check(sources: Iterable[Source]) -> None:
    """Raise what ended a recording too early, after everything was shown.

    Of several errors the last is raised; the others are printed.
    """
    raise_last([fault for source in sources for fault in source.faults])


def raise_last(faults: Sequence[KstatsError]) -> None:
    """Raise the last of several errors, if there is any; the others are printed."""
    session.print_errors(map(str, faults[:-1]))
    if faults:
        raise faults[-1]


def _recorded(found: recording.Recording, label: str) -> Source:
    faults: list[RecordingError] = []
    return Source(label, lambda: _readable(found, faults), found.header, faults)


def _queried(word: str, label: str, wanted: SourceOptions) -> Source:
    from kstats import prometheus  # noqa: PLC0415 - recordings do not need it

    access = prometheus.Access.of(
        dict(wanted.header), wanted.bearer_token_file, wanted.basic_auth_file, wanted.ca_file
    )
    address = prometheus.Address.parse(word)
    hosts = prometheus.Hosts.find(prometheus.Client(address.url, access), address)
    faults: list[RecordingError] = []
    return Source(label, lambda: until_fault(hosts.samples(), faults), hosts.header, faults)


def until_fault(samples: Iterable[Sample], faults: list[RecordingError]) -> Iterator[Sample]:
    """Yield the samples; what ends them too early is raised later, by :func:`check`."""
    try:
        yield from samples
    except RecordingError as fault:
        faults.append(fault)


def _readable(found: recording.Recording, faults: list[RecordingError]) -> Iterator[Sample]:
    """Yield the samples; a message, not an error, reports an incomplete last line."""
    yield from until_fault(found, faults)
    if found.tail:
        session.print_errors([f"{found.name}: {found.tail}"])


def _live(wanted: SourceOptions) -> Iterator[Sample]:
    from kstats.cli.live import all_threads  # noqa: PLC0415 - recordings do not need it

    interval = session.EVERY_SECOND if wanted.interval is None else wanted.interval
    with all_threads(wanted.probe, wanted.loader) as collector:
        session.attached(collector, writes=wanted.writes, debug=wanted.debug)
        count = COUNT if wanted.count is None else wanted.count
        with closing(session.live(collector, interval, count)) as samples:
            yield from samples
