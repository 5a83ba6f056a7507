"""The sampler: takes samples, adds them up and makes pages, all in one thread.

Every call must come from the same thread: then no scrape takes a sample away from another one, and
nothing needs a lock. A page is made when one is wanted and the last one is older than
:data:`FRESH`; scrapes in between get the same bytes.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

import attrs

from kstats.errors import KstatsError, UnsupportedHostError
from kstats.exporter import families as f
from kstats.exporter import log
from kstats.exporter.exposition import Family, Rows, Series, count_lines, page, pieces
from kstats.exporter.feed import About, Feed
from kstats.exporter.metrics import Metrics
from kstats.exporter.process import Process
from kstats.exporter.settings import Settings
from kstats.model import MapUsage

FRESH = 1.0
"""Seconds for which a page is served again."""

UNASKED = 10.0
"""Seconds after which a sample is taken, or counting tried again, although nobody asked."""

_MAPS = 60.0
"""Seconds between two looks at the maps, which reads every entry."""

_LEVEL = 1  # of compression: a third larger than level 9, in a fortieth of the time
_AS_GZIP = 31  # for zlib: a window of 2**15 bytes, and the header and trailer of gzip


class Sampler:
    """Samples of a feed, as pages."""

    def __init__(
        self,
        open_feed: Callable[[], Feed],
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``open_feed`` begins to count; it is called again while the host cannot be measured."""
        self._open_feed = open_feed
        self._settings = settings
        self._clock = clock
        self._metrics = Metrics(settings)
        self._process = Process()
        self._feed: Feed | None = None
        self._about = About()
        self._up = False
        self._complaint = ""
        self._notes: tuple[str, ...] = ()
        self._samples = self._failures = self._took = 0
        self._ended = 0.0
        self._looked_at_maps = float("-inf")
        self._maps: Mapping[str, MapUsage] = {}
        self._pages: dict[tuple[bool, bool], bytes] = {}
        self._tried = float("-inf")
        self.last = float("-inf")

    @property
    def is_counting(self) -> bool:
        """Whether the last sample could be taken."""
        return self._up

    @property
    def due(self) -> float:
        """When the next sample is to be taken although nobody asks, by the monotonic clock."""
        return self.last + UNASKED

    def sample(self) -> None:
        """Take a sample now; begin to count if that was not possible before.

        Raises:
            KstatsError: Counting cannot begin, for another reason than this host's KVM.
        """
        self.last = self._clock()
        self._pages.clear()
        if self._feed is None and not self._begin():
            return
        begun = time.perf_counter_ns()
        try:
            self._add()
        except (KstatsError, OSError) as error:
            self._fail(str(error))
        else:
            self._up, self._complaint = True, ""
        self._took = time.perf_counter_ns() - begun

    def page(self, *, openmetrics: bool = False, zipped: bool = False) -> bytes:
        """Return a page that is at most :data:`FRESH` seconds old."""
        if self._clock() - self.last >= FRESH:
            self.sample()
        kind = openmetrics, zipped
        if kind not in self._pages:
            families = chain(self._families(), self._process.families())
            encoded = (text.encode() for text in pieces(families, openmetrics=openmetrics))
            self._pages[kind] = b"".join(_zipped(encoded) if zipped else encoded)
        return self._pages[kind]

    def page_of_host(self) -> bytes:
        """Return the page without the metrics of this process: node_exporter has its own."""
        return page(self._families(), openmetrics=False).encode()

    def close(self) -> None:
        """End counting."""
        if self._feed:
            self._feed.close()
            self._feed = None

    def _begin(self) -> bool:
        """Begin to count; return whether that worked."""
        if self.last - self._tried < UNASKED:
            return False
        self._tried = self.last
        try:
            self._feed = self._open_feed()
        except UnsupportedHostError as error:
            self._fail(str(error), hint=error.hint)
            return False
        self._about = self._feed.about
        log.info("counting", **attrs.asdict(self._about))
        return True

    def _fail(self, why: str, **more: str) -> None:
        """Record that no sample could be taken; log each reason once."""
        self._up = False
        self._failures += 1
        if why != self._complaint:
            log.error("cannot count", reason=why, **more)
        self._complaint = why

    def _add(self) -> None:
        feed = self._feed
        if feed is None:
            return
        now = self._clock()
        for sample in feed.samples():
            self._metrics.add(sample, now)
            self._samples += 1
            for note in sample.notes:
                if note not in self._notes:
                    log.warning(note)
            self._notes = sample.notes
        self._ended = time.time()
        if now - self._looked_at_maps >= _MAPS:
            self._maps, self._looked_at_maps = feed.maps(), now

    def _families(self) -> Iterator[tuple[Family, Rows]]:
        lines = 0
        for family, rows in self._metrics.families():
            lines += count_lines(family, rows)
            yield family, rows
        yield f.BUILD_INFO, [f.BUILD_INFO.valued(1, *attrs.astuple(self._about))]
        yield f.MAP_SIZE, [f.MAP_SIZE.valued(m.size, name) for name, m in self._maps.items()]
        yield f.MAP_USED, [f.MAP_USED.valued(m.used, name) for name, m in self._maps.items()]
        yield from self._own(lines)

    def _own(self, lines: int) -> Iterator[tuple[Family, list[Series]]]:
        for family, value in (
            (f.UP, int(self._up)),
            (f.SAMPLES, self._samples),
            (f.SAMPLE_FAILURES, self._failures),
            (f.SAMPLE_DURATION, self._took),
            (f.LAST_SAMPLE, round(self._ended, 3)),
            (f.SERIES, lines),
        ):
            yield family, [family.valued(value)]


def _zipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _AS_GZIP)
    yield from map(compressor.compress, pieces)
    yield compressor.flush()
