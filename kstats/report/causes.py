"""What makes VMs slow, by the rules of ``kstats why``, over the windows of a recording."""

from __future__ import annotations

from kstats.model import Sample
from kstats.recording.merge import Merger
from kstats.why.engine import Judge, Report
from kstats.why.evidence import Evidence

WINDOW = 10.0
"""Seconds that are judged together, as in ``kstats why``."""

_ALL = 360
"""Windows that are all judged: an hour."""


class Causes:
    """Judges each window of the first hour, and then every second one, every fourth, and so on.

    So a day takes little more time than some hours. ``kstats why --input`` judges all.
    """

    def __init__(self) -> None:
        self._judge = Judge()
        self._merger = Merger(WINDOW)
        self._windows = 0
        self._skipped = 0.0

    def add(self, sample: Sample) -> None:
        """Look at the next sample."""
        if self._skipped > 0:
            self._skipped -= sample.elapsed
            return
        for window in self._merger.add(sample):
            self._judge.add(Evidence.of(window))
            self._windows += 1
            self._skipped = WINDOW * ((1 << (self._windows // _ALL).bit_length()) - 1)

    def report(self) -> Report:
        """Return what was found; samples may follow."""
        for window in self._merger.rest():
            self._judge.add(Evidence.of(window))
        return self._judge.report()
