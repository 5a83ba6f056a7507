"""Nanoseconds on this machine's hardware: our programs and kvmexit's on a loop of system calls.

Instructions do not show what a clock read, a cache miss or copying memory takes. kvm_exit need not
fire here; the raw tracepoints sys_enter and sys_exit do, and run the same bodies as exits and
entries do. kvmexit uses a classic tracepoint, which takes longer than the raw one that it has here.
One round after the other attaches each program in turn, so that whatever else the machine does hits
all alike.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import attrs

from bench import rivals
from bench.table import TIMED, Table
from kstats.arch.base import OTHER, Arch, Column, ExitSource, Isa, Probe, SlotRange
from kstats.collector.feature import Feature
from kstats.collector.latency import Latency
from kstats.collector.percpu import PER_CPU, Entries
from kstats.collector.target import Target
from kstats.collector.threads import ExitsByThread
from kstats.collector.vcpu_time import VcpuTimes
from kstats.host import Host
from kstats.loader import program, syscall
from kstats.loader.plan import Attachment, Plan
from tests.collector.native import LOADS

ROUNDS, CALLS = 15, 150_000
HERE = Path(__file__).parent
SYSTEM_CALLS = 512

TRACEPOINTS = {"on_exit": "sys_enter", "on_entry": "sys_exit"}
"""What stands for exits and for entries."""

EMPTY = "int on_exit(void *ctx) { return 1; }"
EMPTY_PAIR = f"{EMPTY} int on_entry(void *ctx) {{ return 1; }}"
CLOCK = "int on_exit(void *ctx) { return bpf_ktime_get_ns() != 0; }"
KVMEXIT_HEAD = "int on_exit(struct bpf_raw_tracepoint_args *ctx)"


def _source(name: str, define: str, *, direct: bool) -> Arch:
    probe = Probe(name, "raw", define, args=syscall.raw_tracepoint_args("kvm_exit"), direct=direct)
    source = ExitSource(isa="calls", probes=(probe,), slots=(SlotRange(0, SYSTEM_CALLS),))
    return Arch(
        name="calls",
        title="System calls",
        machines=("calls64",),
        isas=(Isa("calls", "System calls", {}),),
        columns=(Column(OTHER, OTHER),),
        sources=(source,),
        bpf=HERE / "sys_enter.c",
    )


def _ours(arch: Arch, *features: Feature) -> program.Loaded:
    (source,) = arch.sources
    target = Target(Host(), arch, source, source.probes)
    return target.load(features, attach=False)


def _text(text: str) -> program.Loaded:
    probe = Probe("raw", "raw", "TEXT", args=syscall.raw_tracepoint_args("kvm_exit"))
    functions = [name for name in TRACEPOINTS if f"int {name}(" in text]
    attachments = tuple(Attachment(TRACEPOINTS[name], name, "raw") for name in functions)
    plan = Plan(text, {}, (probe,), (), attachments, (), attach=False)
    return program.load(plan, "bcc")


def programs() -> Mapping[str, program.Loaded | None]:
    """What to compare, each loaded and attached nowhere."""
    by_calls = _source("btf", "SYS_ENTER_BTF", direct=False)
    found: dict[str, program.Loaded | None] = {
        "nothing": None,
        "an empty program at exits": _text(EMPTY),
        "empty programs at exits and entries": _text(EMPTY_PAIR),
        "reading the clock at exits": _text(CLOCK),
        "kstats cpu": _ours(by_calls, *PER_CPU),
        "kstats exits": _ours(by_calls, ExitsByThread()),
        "kstats exits --time": _ours(by_calls, ExitsByThread(), Entries(), VcpuTimes()),
        "kstats exits --latency": _ours(by_calls, ExitsByThread(), Entries(), Latency()),
    }
    if LOADS:
        by_loads = _source("cast", "SYS_ENTER_CAST", direct=True)
        found["kstats cpu, direct loads"] = _ours(by_loads, *PER_CPU)
        found["kstats exits, direct loads"] = _ours(by_loads, ExitsByThread())
    found["bcc's kvmexit"] = _text(rivals.kvmexit_program(KVMEXIT_HEAD, "(u32)ctx->args[1]"))
    return found


@attrs.frozen
class Loop:
    """The loop of system calls, compiled."""

    path: Path

    def run(self) -> float:
        """Nanoseconds a call."""
        words = [str(self.path), str(CALLS)]
        return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def _one(loop: Loop, loaded: program.Loaded | None) -> float:
    if loaded is None:
        return loop.run()
    with ExitStack() as attached:
        for function, tracepoint in TRACEPOINTS.items():
            if function in loaded.programs:
                link = syscall.attach_raw_tracepoint(tracepoint, loaded.programs[function])
                attached.callback(os.close, link)
        return loop.run()


def measure() -> dict[str, list[float]]:
    """Return the nanoseconds of a call with each program attached, for every round."""
    allowed = os.sched_getaffinity(0)
    with ExitStack() as stack:
        compiled = Path(stack.enter_context(tempfile.TemporaryDirectory()), "getppid")
        subprocess.run(["gcc", "-O2", HERE / "getppid.c", "-o", compiled], check=True)
        found = programs()
        for loaded in found.values():
            if loaded:
                stack.enter_context(loaded)
        os.sched_setaffinity(0, {max(allowed)})
        stack.callback(os.sched_setaffinity, 0, allowed)
        rounds = [
            {name: _one(Loop(compiled), loaded) for name, loaded in found.items()}
            for _ in range(ROUNDS)
        ]
    return {name: [one[name] for one in rounds] for name in found}


def tables() -> Iterator[Table]:
    """Yield the medians of what each adds in its round, and the middle half of the rounds."""
    found = measure()
    nothing = found.pop("nothing")
    rows: list[tuple[str, float, str]] = [("nothing (the call itself)", *_summary(nothing))]
    for name, times in found.items():
        rows.append((name, *_summary([t - n for t, n in zip(times, nothing, strict=True)])))
    title = f"ns that programs at raw sys_enter, sys_exit add to getppid(), {ROUNDS} rounds"
    yield Table(title, ("program", "median", "middle half"), rows, spread=TIMED)


def _summary(times: list[float]) -> tuple[float, str]:
    low, middle, high = statistics.quantiles(times, n=4)
    return middle, f"{low:.0f} … {high:.0f}"
