"""What kstats takes in user space on large hosts: CPU time and memory of this machine.

- A million counters by thread, in the kernel's hash and really read from it.
- 512 CPUs with 60 reasons each: a report, and a sample of a recording.
- A sample of 256 CPUs with 20 reasons each as ``kstats compare`` and ``kstats report`` read it.

Every part runs at a quarter of its size, too: the exponent is 1 for what is linear.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs

from bench.filled import timed
from bench.recording import Host
from bench.table import TIMED, Budget, Table
from kstats import arch as arches
from kstats import recording
from kstats.collector.layout import Layout
from kstats.collector.percpu import Counts, Reading, Words
from kstats.collector.shares import EVERYONE, Hash, Share
from kstats.collector.threads import ExitsByThread
from kstats.compare.aggregate import Aggregate
from kstats.filters import ThreadFilter
from kstats.loader import c_text
from kstats.loader.records import COUNT
from kstats.model import Sample
from kstats.recording import Clock, Header
from kstats.recording.encode import Encoder
from kstats.render.jsonlines import JsonRenderer
from kstats.render.text import TextRenderer
from kstats.report.gather import Gathered
from kstats.views.exits import ExitsView
from kstats.views.exits import Options as ExitsOptions
from kstats.views.percpu import Options, PerCpuView
from kstats.vms.identity import Kind, Thread, Vm
from tests.collector import kernel
from tests.collector.native import target
from tests.collector.readings import between, nothing

STEEPEST = 1.3
"""The largest exponent: what is quadratic has 2, and what leaves the caches more than 1."""

_ROOT = Path(__file__).parent.parent
_RUNS = 9
_PER_THREAD = 1000
_CPUS_OF_THREAD = 20
_REASONS = 60
_CPUS, _VMS = 512, 100


def _codes() -> tuple[int, ...]:
    source = next(source for source in arches.find("x64").sources if source.isa == "svm")
    return tuple(c_text.slot_codes(source.slots))


@contextlib.contextmanager
def _vcpus(many: int) -> Iterator[list[int]]:
    """Start threads, and give their numbers: counters of threads that do not exist are freed."""
    stop = threading.Event()
    before = threading.stack_size(1 << 16)
    started = [threading.Thread(target=stop.wait) for _ in range(many)]
    for thread in started:
        thread.start()
    try:
        yield [os.getpid() << 32 | (thread.native_id or 0) for thread in started]
    finally:
        stop.set()
        threading.stack_size(before)


def _entries(vcpus: list[int]) -> tuple[bytes, bytes]:
    """Return keys (thread, code, CPU) and counts."""
    codes = _codes()[: _PER_THREAD // _CPUS_OF_THREAD]
    keys = b"".join(
        struct.pack("=QQQ", thread, code, (7 * i + step) % _CPUS)
        for i, thread in enumerate(vcpus)
        for step in range(_CPUS_OF_THREAD)
        for code in codes
    )
    many = len(vcpus) * _PER_THREAD
    return keys, struct.pack(f"={many}Q", *(1 + n % 5003 for n in range(many)))


def threads(many: int) -> dict[str, float]:
    """Measure a thousand counters of each of so many threads."""
    machine = target()
    layout = machine.layout()._replace(arch="x64", isa="svm")
    online = tuple(range(_CPUS))
    exits = ExitsByThread.sized(ThreadFilter(), 1 << 21)
    with machine.load((exits,), attach=False) as loaded, _vcpus(many) as vcpus:
        known = {number: _thread(number, i) for i, number in enumerate(vcpus)}
        reader = exits.reader(loaded, layout)
        before = reader()
        kernel.fill(loaded.maps["more_threads"], *_entries(vcpus))
        all_of_them = Share()
        all_of_them.added[Hash.THREADS] = many * _PER_THREAD
        loaded.maps["shares"].put(COUNT.pack(EVERYONE), bytes(all_of_them))
        first, now = timed(reader, 1)
        again, now = timed(reader, 3)

        def sample() -> Sample:
            made = between((exits, before, now), layout=layout, online=online)
            return attrs.evolve(made, threads=known)

        taken, made = timed(sample, 3)
        if sum(map(len, made.exits.values())) != many * _PER_THREAD:
            raise RuntimeError("the map does not hold what was put into it")
        shown, _ = timed(lambda: ExitsView().table(made), 3)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        encoder = Encoder()
        encoder.line(made)
        line, _ = timed(lambda: encoder.line(sample()), 3)
        rows = ExitsView(ExitsOptions(by=("cpu", "tid", "reason")))
        text, _ = timed(lambda: TextRenderer(io.StringIO()).write(rows.table(made)), 1)
    return {
        "the first reading, ms": first,
        "reading, difference, table by vm,vcpu,reason, ms": again + taken + shown,
        "memory until then, MiB": memory,
        "an unchanged recorded sample, ms": line,
        "by cpu,tid,reason as text, ms": text,
    }


def _thread(number: int, i: int) -> Thread:
    vm = Vm(4000 + i % _VMS, 1, Kind.QEMU, f"vm{i % _VMS}")
    return Thread(number & 0xFFFF_FFFF, number >> 32, i // _VMS, vm)


def cpus(many: int) -> dict[str, float]:
    """Measure a host with so many busy CPUs."""
    layout = Layout("x64", "svm", range(many), _codes())
    words, online = Words(layout), tuple(range(many))
    chance = random.Random(1)  # noqa: S311 - any numbers do, but the same each time
    busy = set(chance.sample(range(3, words.stride), _REASONS))

    def read() -> bytes:
        counts = (chance.randrange(1, 5000) if i % words.stride in busy else 0 for i in _all(words))
        return struct.pack(f"={words.cpus * words.stride}Q", *counts)

    before = nothing(layout)

    def sample(values: bytes) -> Sample:
        now = Reading(1, 1, words.columns(values), {}, 0)
        return between((Counts(layout), before, now), layout=layout, online=online)

    values = [read() for _ in range(6)]
    view, detailed = PerCpuView(), PerCpuView(Options(detail=True))
    text, _ = timed(lambda: TextRenderer(io.StringIO()).write(view.table(sample(values[0]))), _RUNS)
    json_, _ = timed(
        lambda: JsonRenderer(io.StringIO()).write(detailed.table(sample(values[0]))), _RUNS
    )
    samples = itertools.cycle([sample(one) for one in values])
    encoder = Encoder()
    encoder.line(next(samples))
    line, _ = timed(lambda: encoder.line(next(samples)), _RUNS)
    return {"kstats -v, ms": text, "as JSON, ms": json_, "a recorded sample, ms": line}


def _all(words: Words) -> range:
    return range(words.cpus * words.stride)


def recorded(many: int) -> dict[str, float]:
    """Measure what a sample of so many CPUs takes until it is read, shown and added up."""
    samples = 100
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.jsonl.zst"
        with recording.Writer(path, Header("x64", Clock.now(), interval=1.0)) as writer:
            for sample in Host(by_thread=True, cpus=many).samples(samples):
                writer.write(sample)

        def spent(use: Callable[[Sample], object]) -> float:
            def run() -> None:
                with recording.read(path) as kept:
                    for sample in kept:
                        use(sample)

            return timed(run, 3)[0] / samples

        view, text, gathered = PerCpuView(), TextRenderer(io.StringIO()), Gathered("", {})
        return {
            "read, ms": spent(lambda _: None),
            "read and shown by CPU, ms": spent(lambda sample: text.write(view.table(sample))),
            "kstats compare, ms": spent(Aggregate().add),
            "kstats compare --by cpu, ms": spent(Aggregate("cpu").add),
            "kstats report, ms": spent(lambda sample: gathered.add([sample])),
        }


@attrs.frozen
class _Part:
    """What is measured at a size and at a quarter of it, and the budgets of the former."""

    title: str
    measure: Callable[[int], dict[str, float]]
    size: int
    most: Mapping[str, float]


PARTS: Mapping[str, _Part] = {
    "threads": _Part(
        "1,000,000 counters by thread",
        threads,
        1000,
        {
            "the first reading, ms": 2500,
            "reading, difference, table by vm,vcpu,reason, ms": 1200,
            "memory until then, MiB": 400,
            "an unchanged recorded sample, ms": 250,
            "by cpu,tid,reason as text, ms": 10_000,
        },
    ),
    "cpus": _Part(
        "512 CPUs x 60 reasons",
        cpus,
        512,
        {"kstats -v, ms": 12, "as JSON, ms": 110, "a recorded sample, ms": 7},
    ),
    "recorded": _Part(
        "a sample of 256 CPUs x 20 reasons",
        recorded,
        256,
        {
            "read, ms": 1.5,
            "read and shown by CPU, ms": 6,
            "kstats compare, ms": 1.6,
            "kstats compare --by cpu, ms": 9,
            "kstats report, ms": 11,
        },
    ),
}
"""The budgets are what was reached on a busy machine of 2 CPUs at 2.5 GHz."""


def tables() -> Iterator[Table]:
    """Yield the table."""
    rows, budgets = [], []
    for name, part in PARTS.items():
        small, large = (_apart(name, size) for size in (part.size // 4, part.size))
        for what, found in large.items():
            exponent = math.log(found / small[what], 4)
            rows.append((f"{part.title}: {what}", found, part.most[what], f"{exponent:.2f}"))
            budgets += [
                Budget("counters", f"{part.title}: {what}", part.most[what], found),
                Budget("counters", f"{part.title}: {what}: exponent", STEEPEST, exponent),
            ]
    headings = ("what", "takes", "budget", "exponent")
    yield Table("large hosts", headings, rows, budgets=budgets, spread=TIMED)


def _apart(name: str, size: int) -> dict[str, float]:
    """Measure in another process, which has the memory for itself."""
    command = [sys.executable, "-m", "bench.counters", name, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_ROOT)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(PARTS[sys.argv[1]].measure(int(sys.argv[2]))))
    else:
        print(*(made.text() for made in tables()))
