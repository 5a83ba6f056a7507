"""Measure in an emulated host how long an exit takes while a tool counts; print a JSON object.

    python3 inside.py               print the names of the tools, one per line
    python3 inside.py EXITS TOOL
    python3 inside.py starts        how long commands take: to start, report at once, and end

EXITS is the program of exits.c; kvmexit.py is in the same folder as this file. The host's clocks
count instructions and jump while nothing runs, so a time limit for a tool would expire too early:
tools run without one, and nothing here waits unless a tool is running. The caller must enforce a
timeout. Uses only the standard library.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

COUNT = 100_000
SHARED_COUNT = 20_000
"""Of vCPUs that share a CPU, in each of six ways; more of them find the same."""

TURNS = (1, 4, 16)
SHARING = 4
SHARED_RUNS = 3
"""The least of them counts: on ARM64 every other VM's turns take some 30 or 130 more each."""

PATIENCE = 600.0
"""Seconds of the host's own time until a tool must be ready or gone."""

TRACING = Path("/sys/kernel/tracing")
REAL_TIME = Path("/proc/sys/kernel/sched_rt_runtime_us")
X64 = os.uname().machine == "x86_64"


class Tool(NamedTuple):
    """Something that watches exits.

    ``words`` start it. With ``ready`` it is at work once it has said that; without, it is given
    the workload as its last words, as ``after`` and one more word or as words of their own.
    ``shares`` has it measured with vCPUs that share a CPU, too: a thread at real-time priority
    leaves tools that work in user space no time to.
    """

    name: str
    words: tuple[str, ...] = ()
    ready: str = ""
    after: str = ""
    shares: bool = False


_EVENTS = ("-e", "kvm:kvm_exit", "-e", "kvm:kvm_entry")
_REASON = "args->exit_reason" if X64 else "args->ret, args->esr_ec"
_BY_REASON = f"tracepoint:kvm:kvm_exit {{ @[{_REASON}] = count(); }}"
_ATTACHED = "exits through"
_KVMEXIT = str(Path(__file__).with_name("kvmexit.py"))

NOTHING = Tool("nothing", shares=True)
FTRACE = Tool("ftrace, exits and entries")
TOOLS = (
    NOTHING,
    Tool("kstats -v", ("kstats", "-v", "86400", "--debug"), _ATTACHED, shares=True),
    Tool("kstats exits", ("kstats", "exits", "--debug"), _ATTACHED, shares=True),
    Tool("kstats vcpu", ("kstats", "vcpu", "86400", "--debug"), _ATTACHED),
    Tool("kstats exits --latency", ("kstats", "exits", "--latency", "--debug"), _ATTACHED),
    Tool("kstats exits --time", ("kstats", "exits", "--time", "--debug"), _ATTACHED),
    *(
        Tool(f"{' '.join(words)} --loader bcc", (*words, "--loader", "bcc", "--debug"), _ATTACHED)
        for words in (("kstats", "-v"), ("kstats", "exits"), ("kstats", "exits", "--latency"))
    ),
    # What it can read here is not asked on other machines than AMD's.
    *([Tool("kvmexit of bcc", ("python3", _KVMEXIT), "counting", shares=True)] if X64 else []),
    FTRACE,
    Tool("perf stat", ("perf", "stat", "-a", *_EVENTS, "-o", "/dev/null", "--")),
    Tool("perf record", ("perf", "record", "-a", *_EVENTS, "-o", "/dev/null", "--")),
    Tool("perf kvm stat live", ("perf", "kvm", "stat", "live"), "Analyze"),
    Tool("bpftrace by reason", ("bpftrace", "-q", "-e", _BY_REASON), after="-c"),
)


STARTS = (
    "python3 -c pass",
    "kstats --version",
    "kstats explain HLT",
    "kstats -v 0.01 1",
    "kstats -v 0.01 1 --loader bcc",
)
"""Commands that are measured as a whole, with the processes that they start."""


class Exits:
    """The workload."""

    def __init__(self, program: str, result: Path) -> None:
        self._program = program
        self._result = result

    def words(self, sharing: int = 0, turn: int = 0) -> list[str]:
        """Its command, for one vCPU or for several that share a CPU."""
        words = [self._program, str(self._result)]
        return [*words, *map(str, (SHARED_COUNT, sharing, turn) if sharing else (COUNT,))]

    def result(self) -> float:
        """What the last run has found."""
        text = self._result.read_text()
        self._result.unlink()
        return float(text)

    def run(self, sharing: int = 0, turn: int = 0) -> float:
        """Runs it; instructions an exit."""
        subprocess.run(self.words(sharing, turn), check=True)
        return self.result()

    def shared(self, sharing: int, turn: int) -> float:
        """The same with vCPUs that share a CPU."""
        return min(self.run(sharing, turn) for _ in range(SHARED_RUNS))


@contextmanager
def started(tool: Tool) -> Iterator[None]:
    """A tool that is at work."""
    with (
        TemporaryDirectory() as scratch,
        Path(scratch, "said").open("w+b") as said,
        subprocess.Popen(
            tool.words,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            cwd=scratch,
        ) as process,
    ):
        try:
            until = time.monotonic() + PATIENCE
            while tool.ready.encode() not in Path(scratch, "said").read_bytes():
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{tool.name}: {Path(scratch, 'said').read_text()}")
                os.sched_yield()
            yield
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a tool as ^C does, and if it does not mind, as nobody can help."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)


@contextmanager
def traced() -> Iterator[None]:
    """The kernel writing both events to its trace buffer."""
    switches = [TRACING / "events/kvm" / event / "enable" for event in ("kvm_exit", "kvm_entry")]
    try:
        for switch in switches:
            switch.write_text("1")
        yield
    finally:
        for switch in switches:
            switch.write_text("0")


def wrapped(tool: Tool, exits: Exits) -> float:
    """Instructions an exit in a workload that the tool itself starts."""
    words = exits.words()
    command = [*tool.words, *([tool.after, " ".join(words)] if tool.after else words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool.name}: {done.stdout}{done.stderr}")
    return exits.result()


def measure(tool: Tool, exits: Exits) -> dict[str, float]:
    """Instructions an exit, by way of running them."""
    if tool.words and not tool.ready:
        return {"one": wrapped(tool, exits)}
    with nullcontext() if tool is NOTHING else traced() if tool is FTRACE else started(tool):
        found = {"one": exits.run()}
        for turn in TURNS if tool.shares else ():
            found[f"one, {turn}"] = exits.shared(1, turn)
            found[f"{SHARING}, {turn}"] = exits.shared(SHARING, turn)
        return found


def spent() -> float:
    """Seconds of CPU that processes have used which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def started_once(command: str) -> float:
    """Instructions of a command, as a nanosecond of CPU time each; the second run's.

    The first run reads files from the disk.
    """
    for _ in range(2):
        before = spent()
        subprocess.run(command.split(), stdout=subprocess.DEVNULL, check=True)
    return (spent() - before) * 1e9


def main() -> None:
    """Measures a tool or the starts, or names the tools."""
    if not sys.argv[1:]:
        print(*(tool.name for tool in TOOLS), sep="\n")
        return
    if sys.argv[1:] == ["starts"]:
        print(json.dumps({command: started_once(command) for command in STARTS}))
        return
    program, name = sys.argv[1:]
    (tool,) = (tool for tool in TOOLS if tool.name == name)
    REAL_TIME.write_text("-1")
    with TemporaryDirectory() as scratch:
        print(json.dumps(measure(tool, Exits(program, Path(scratch, "result")))))


if __name__ == "__main__":
    main()
