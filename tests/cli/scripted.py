"""The kstats command with counts from a script: for what it does with signals, pipes, terminals.

``python -m tests.cli.scripted``, then the words of ``kstats``. Nothing is loaded; every sample
has :data:`COUNT` entries and exits on CPU 0.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Self

from kstats import arch as arches
from kstats.cli import live, live_cpu, main
from kstats.host import Host
from kstats.model import Exits, Place, Sample
from kstats.privileges import Need

COUNT = 7
SLOW = "KSTATS_TEST_LOADS_SLOWLY"


class Target:
    """Any host will do."""

    host = Host(machine="x86_64")
    arch = arches.find("x64")
    source = arch.sources[0]
    probes = source.probes

    @classmethod
    def find(cls, *_: Any, **__: Any) -> Self:
        """Same as :meth:`kstats.collector.target.Target.find`."""
        return cls()

    def per_cpu(self) -> None:
        """What the collector counts does not depend on it."""


class Collector:
    """Counts at once what there is to count."""

    counted: tuple[str, ...] = ("entries", "exits")

    def __init__(self, target: Any, *_: Any, **__: Any) -> None:
        self.target = target
        self._last = time.monotonic()
        if os.environ.get(SLOW):
            print("loading", file=sys.stderr, flush=True)
            time.sleep(60)

    def sample(self) -> Sample:
        """The same counts every time, and the time that really passed."""
        now = time.monotonic()
        elapsed, self._last = now - self._last, now
        exits = {("vmx", 48): {Place(0, 0): Exits(COUNT)}}
        return Sample(
            "x64",
            time.time(),
            elapsed,
            (0, 1),
            {0: COUNT},
            exits,
            code_dropped={1: 1},
            notes=("scripted",),
        )

    def needs(self) -> tuple[Need, ...]:
        """Nothing."""
        return ()

    def follow(self) -> None:
        """Nothing goes on between samples."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    for module in (live, live_cpu):
        vars(module).update(Target=Target, Collector=Collector)
    sys.exit(main())
