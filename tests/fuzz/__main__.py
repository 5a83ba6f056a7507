"""Fuzz: ``python -m tests.fuzz [TARGET…] [--seconds N | --runs N] [--keep FOLDER]``.

atheris, which sees what an input reaches, changes the seeds of each target in turn. The first byte
of an input selects the target. It ends at the first exception, with a traceback, and the input in
``crash-…``; the name of that file, as the only argument, runs it again.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kstats", "json", "yaml"]):
    from tests.fuzz import targets

MOST_SECONDS = 5.0
"""CPU time of an input of 8 kB, instrumented; most take a millisecond."""

MOST_MEMORY = 64 << 10
"""Growth of the process by an input, in KiB; Python's own caches included."""


def bounded(number: int, data: bytes) -> None:
    """Run one input, and check what it cost."""
    name = list(targets.TARGETS)[number % len(targets.TARGETS)]
    cpu, memory = time.process_time(), _peak()
    targets.TARGETS[name](data)
    seconds, grown = time.process_time() - cpu, _peak() - memory
    assert seconds < MOST_SECONDS, f"{name}: {len(data)} bytes took {seconds:.1f} s"
    assert grown < MOST_MEMORY, f"{name}: {len(data)} bytes took {grown >> 10} MiB"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Fuzz, or run one file; never return."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"{', '.join(targets.TARGETS)}, or a file")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=-1, help="end after that many inputs")
    parser.add_argument("--seed", type=int, default=0, help="of chance; 0 for another each time")
    parser.add_argument("--keep", type=Path, help="a folder for inputs that reach something new")
    wanted = parser.parse_args()
    if wanted.targets and Path(wanted.targets[0]).is_file():
        number, *data = Path(wanted.targets[0]).read_bytes()
        bounded(number, bytes(data))
        return
    names = list(targets.TARGETS)
    chosen = [names.index(name) for name in wanted.targets or names]

    def one(data: bytes) -> None:
        if data:
            bounded(chosen[data[0] % len(chosen)] if wanted.targets else data[0], data[1:])

    with tempfile.TemporaryDirectory() as folder:
        for number in chosen:
            for at, seed in enumerate(targets.seeds(names[number])):
                path = Path(folder, f"{names[number]}-{at}")
                path.write_bytes(bytes([number]) + seed)
        corpus = [str(wanted.keep)] if wanted.keep else []
        limits = [f"-max_len={targets.MOST_BYTES}", "-timeout=300", "-rss_limit_mb=2048"]
        ends = [f"-max_total_time={wanted.seconds}", f"-runs={wanted.runs}", f"-seed={wanted.seed}"]
        atheris.Setup([sys.argv[0], *limits, *ends, *corpus, folder], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
