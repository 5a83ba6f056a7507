"""Compiles the prebuilt objects: every program that a command loads, for every probe.

It runs when kstats is built, and needs clang and llvm-strip. The same tree gives the same bytes.

    python -m kstats.collector.prebuild FOLDER [ARCHITECTURE]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kstats import arch as arches
from kstats.arch.base import Arch, Probe
from kstats.collector.details import Detail
from kstats.collector.feature import Feature
from kstats.collector.handlers import Handlers
from kstats.collector.latency import Latency
from kstats.collector.percpu import PER_CPU
from kstats.collector.slow_exits import SlowExits
from kstats.collector.target import Target
from kstats.collector.threads import ExitsByThread
from kstats.collector.vcpu_time import VcpuTimes
from kstats.host import Host
from kstats.loader import objects
from kstats.loader.plan import Plan

_CLANG = (
    *("clang", "-target", "bpf", "-mcpu=v2", "-O2", "-g", "-x", "c", "-c", "-"),
    *("-Wall", "-Werror", "-Wno-unused-function"),
    *("-Wno-unused-variable", "-Wno-unused-but-set-variable"),
)
_STRIP = ("llvm-strip", "--strip-debug", "--remove-section=.BTF.ext")
"""Keep .BTF, in which libbpf finds the maps, and drop what names the lines of the source."""

_ANY_THRESHOLD = 1


class BuildError(Exception):
    """An object could not be compiled; the text is the compiler's."""


def measurements(target: Target) -> Iterator[tuple[Feature, ...]]:
    """Yield the features of every program that a command loads for a target.

    Numbers that a program is loaded with, such as a threshold, do not make it another one, nor do
    features that every object contains (:meth:`kstats.collector.target.Target.plan`).
    """
    yield PER_CPU
    for kind in ("", *(source.name for source in target.source.details)):
        details = (Detail.find(target, kind),) if kind else ()
        exits = (ExitsByThread(), *details)
        yield (*exits, Handlers())
        yield (*exits, Latency(by_cpu=True, detail=kind))
        for time in ((), (VcpuTimes(),)):
            yield (*exits, *time)
            yield (*exits, *time, Latency(detail=kind))
            yield (*exits, *time, Latency(detail=kind), SlowExits(_ANY_THRESHOLD))


def programs(arch: Arch) -> Iterator[tuple[Plan, Probe]]:
    """Yield each program of an architecture, once for each probe that it can use."""
    for source in arch.sources:
        target = Target(Host(), arch, source, source.probes)
        for features in measurements(target):
            plan = target.plan(features)
            yield from ((plan, probe) for probe in plan.probes)


def build(arch: Arch, folder: Path) -> list[Path]:
    """Compile what ``folder`` lacks; return the objects of an architecture.

    Raises:
        BuildError: An object does not compile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {objects.name(plan, probe): (plan, probe) for plan, probe in programs(arch)}
    missing = {name: one for name, one in wanted.items() if not (folder / name).exists()}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        for name, data in zip(
            missing, workers.map(lambda one: compile_object(*one), missing.values()), strict=True
        ):
            _write(folder / name, data)
    return [folder / name for name in sorted(wanted)]


def _write(path: Path, data: bytes) -> None:
    """Write a file at once, because another build may run at the same time."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).chmod(0o644)
    Path(file.name).rename(path)


def compile_object(plan: Plan, probe: Probe) -> bytes:
    """Return the object of a program for a probe, compressed as it is stored.

    Raises:
        BuildError: It does not compile.
    """
    flags = [f"-D{name}={value}" for name, value in sorted(objects.defines(plan, probe).items())]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "program.o"
        _run([*_CLANG, *flags, "-o", str(output)], objects.text(plan))
        _run([*_STRIP, str(output)])
        return zlib.compress(output.read_bytes(), 9)


def _run(words: Sequence[str], text: str = "") -> None:
    # The compiler records where it ran: the objects must not depend on that.
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise BuildError(f"{' '.join(words)}\n{done.stderr}")


def main(folder: str, names: Iterable[str] = ()) -> None:
    """Compile the objects of the named architectures, or of those of kstats.

    Raises:
        BuildError: A compiler is missing, or an object does not compile.
    """
    for tool in (_CLANG[0], _STRIP[0]):
        if shutil.which(tool) is None:
            raise BuildError(f"{tool} is not installed")
    chosen = [arches.find(name) for name in names] or arches.BUILT_IN
    built = {path for arch in chosen for path in build(arch, Path(folder))}
    for path in Path(folder).glob("*.o*"):
        if path not in built:
            path.unlink()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
