"""What kstats itself takes, on this machine: imports and one report."""

from __future__ import annotations

import io
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import filled
from bench.table import TIMED, Table
from kstats import arch as arches
from kstats.collector.counters import Counters, Grouping
from kstats.collector.layout import Layout
from kstats.collector.percpu import Counts, Reading, Words
from kstats.collector.threads import ExitsByThread
from kstats.loader import c_text
from kstats.model import Sample
from kstats.render.text import TextRenderer
from kstats.views.exits import ExitsView
from kstats.views.percpu import PerCpuView
from tests.collector.readings import between, nothing

RUNS = 9
CPUS, REASONS = 512, 20
VCPUS, VCPU_REASONS = 1000, 8


def import_cost() -> float:
    """Milliseconds that ``import kstats`` adds to starting Python, median difference."""
    bare = [_seconds("pass") for _ in range(RUNS)]
    full = [_seconds("import kstats") for _ in range(RUNS)]
    return (statistics.median(full) - statistics.median(bare)) * 1e3


def report() -> dict[str, float]:
    """Milliseconds of one report's parts: 512 busy CPUs, 20 reasons each; medians."""
    source = arches.find("x64").sources[1]
    layout = Layout("x64", "svm", range(CPUS), c_text.slot_codes(source.slots))
    words = Words(layout)
    values = _busy(words)
    now = Reading(1, 1, words.columns(values), {}, 0)
    readings = Counts(layout), nothing(layout), now
    cpus = tuple(range(CPUS))

    def difference() -> Sample:
        return between(readings, layout=layout, online=cpus)

    table = PerCpuView().table(sample := difference())
    return {
        "taking the counters apart": _median(lambda: words.columns(values)),
        "difference of two readings": _median(difference),
        "table": _median(lambda: PerCpuView().table(sample)),
        "text": _median(lambda: TextRenderer(io.StringIO()).write(table)),
    }


def _busy(words: Words) -> bytes:
    chosen = random.Random(1)  # noqa: S311 - any numbers do, but the same each time
    slots = chosen.sample(range(words.stride), REASONS)
    row = [chosen.randrange(1, 1 << 40) if i in slots else 0 for i in range(words.stride)]
    return b"".join(word.to_bytes(8, sys.byteorder) for word in row) * CPUS


def _median(call: Callable[[], object]) -> float:
    times = []
    for _ in range(50):
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return statistics.median(times) * 1e3


def _seconds(code: str) -> float:
    begun = time.perf_counter()
    _python(code)
    return time.perf_counter() - begun


def _python(code: str, *words: str) -> str:
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout


def vcpus_report() -> float:
    """Milliseconds of a report on 1,000 busy vCPUs, from the difference to the text; median."""
    layout = Layout("x64", "svm", range(64), (0, 1))
    places = [(1 << 32 | n, code, n % 64) for n in range(VCPUS) for code in range(VCPU_REASONS)]
    grouping = Grouping()
    before, now = (grouping.totals(Counters.of(dict.fromkeys(places, n))) for n in (1, 2))
    readings = ExitsByThread(), before, now

    def one() -> None:
        sample = between(readings, layout=layout, online=tuple(range(64)))
        TextRenderer(io.StringIO()).write(ExitsView().table(sample))

    return _median(one)


def tables() -> Iterator[Table]:
    """Yield everything, measured here and now."""
    parts = report()
    rows: list[tuple[str, str]] = [
        ("import kstats", f"{import_cost():.0f} ms"),
        *(
            (f"{CPUS} CPUs x {REASONS} reasons: {name}", f"{ms:.1f} ms")
            for name, ms in parts.items()
        ),
        (f"{CPUS} CPUs x {REASONS} reasons: together", f"{sum(parts.values()):.1f} ms"),
        (f"{VCPUS} vCPUs x {VCPU_REASONS} reasons: together", f"{vcpus_report():.1f} ms"),
        *filled.rows(),
    ]
    yield Table("kstats itself, on this machine", ("what", "takes"), rows, spread=TIMED)
