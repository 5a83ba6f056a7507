"""How much room a day's recording takes: 256 busy CPUs, 20 reasons, a sample a second.

.venv/bin/python -m bench.recording [SECONDS]    (default 1200; the whole day is 86400)

Counts are drawn as those of a real host would be: each of the 5120 pairs of CPU and reason has a
rate of its own, between one in two seconds and 10,000 a second; the load of each CPU wanders by
some per cent a second; the counts are Poisson's. That noise is most of what is stored. Prints the
figures of what was written, and of a day at that rate.
"""

from __future__ import annotations

import math
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tabulate import tabulate

from kstats import arch as arches
from kstats import recording
from kstats.model import Code, Exits, Place, Sample
from kstats.recording import Clock, Header

CPUS, REASONS = 256, 20
DAY = 86400
SECONDS = 1200

_SLOWEST, _FASTEST = 0.5, 10_000.0
_WANDERING = 0.02


class Host:
    """A made-up host, the same each time; ``by_thread`` pins a vCPU to every CPU."""

    def __init__(self, *, by_thread: bool, cpus: int = CPUS, reasons: int = REASONS) -> None:
        self._chance = random.Random(1)  # noqa: S311 - any numbers do, but the same each time
        step = (_FASTEST / _SLOWEST) ** (1 / (reasons - 1))
        typical = [_SLOWEST * step**i for i in range(reasons)]
        gauss = self._chance.gauss
        self._rates = [[rate * math.exp(gauss(0, 0.7)) for _ in range(cpus)] for rate in typical]
        self._loads = [1.0] * cpus
        self._cpus = tuple(range(cpus))
        codes = [reason.code for reason in arches.isa("vmx").reasons.values()]
        self._codes: list[Code] = [("vmx", code) for code in codes[:reasons]]
        self._places = [
            Place(cpu, (5000 + cpu) << 32 | 6000 + cpu if by_thread else 0) for cpu in self._cpus
        ]

    def samples(self, seconds: int) -> Iterator[Sample]:
        """A sample for each second."""
        for second in range(1, seconds + 1):
            for cpu, load in enumerate(self._loads):
                wandered = load + 0.1 * (1 - load) + self._chance.gauss(0, _WANDERING)
                self._loads[cpu] = max(wandered, 0.05)
            yield self._sample(second)

    def _sample(self, second: int) -> Sample:
        found = {
            code: {
                place: Exits(n)
                for place, rate, load in zip(self._places, rates, self._loads, strict=True)
                if (n := self._poisson(rate * load))
            }
            for code, rates in zip(self._codes, self._rates, strict=True)
        }
        entries = dict.fromkeys(self._cpus, 0)
        for at in found.values():
            for place, exits in at.items():
                entries[place.cpu] += exits.count
        elapsed = 1 + self._chance.gauss(0, 1e-4)
        return Sample("x64", 1.77e9 + second, elapsed, self._cpus, entries, found)

    def _poisson(self, mean: float) -> int:
        if mean > 30:
            return max(0, round(self._chance.gauss(mean, math.sqrt(mean))))
        left, n = math.exp(-mean), 0
        while (left := left / self._chance.random()) < 1:
            n += 1
        return n


def measure(seconds: int, *, by_thread: bool) -> tuple[str, ...]:
    """Writes and reads a recording; the figures as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.jsonl.zst"
        writing = 0.0
        exits = 0
        with recording.Writer(path, Header("x64", Clock.now(), interval=1.0)) as writer:
            for sample in Host(by_thread=by_thread).samples(seconds):
                exits += sum(sample.entries.values())
                begun = time.process_time()
                writer.write(sample)
                writing += time.process_time() - begun
        begun = time.process_time()
        with recording.read(path) as kept:
            read = sum(sum(sample.entries.values()) for sample in kept)
        reading = time.process_time() - begun
        if read != exits:
            raise RuntimeError("what was read is not what was written")
        size = path.stat().st_size
    return (
        "CPU and thread" if by_thread else "CPU",
        f"{exits / seconds / CPUS:.0f}",
        f"{size / seconds / 1000:.2f} kB",
        f"{size / seconds * DAY / 1e6:.0f} MB",
        f"{writing / seconds * 1e3:.1f} ms",
        f"{reading / seconds * 1e3:.1f} ms",
        f"{reading / seconds * DAY / 60:.1f} min",
    )


def main() -> None:
    """Prints the figures."""
    seconds = int(sys.argv[1]) if sys.argv[1:] else SECONDS
    times = DAY / seconds
    print(f"{CPUS} CPUs x {REASONS} reasons, {seconds} samples; a day is {times:g} times that")
    rows = [measure(seconds, by_thread=by_thread) for by_thread in (False, True)]
    headings = (
        "by",
        "exits/s and CPU",
        "a sample",
        "a day",
        "writing one",
        "reading one",
        "reading a day",
    )
    print(tabulate(rows, headings, tablefmt="plain", disable_numparse=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"resident at most, with the made-up host: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
