"""Measure in an emulated host how long an exit takes while a tool counts; print a JSON object.

    python3 inside.py               print the names of the tools, one per line
    python3 inside.py TOOL          instructions of an exit, by way of running the vCPUs
    python3 inside.py starts        how long commands take: to start, report at once, and end
    python3 inside.py idle          what watching takes in each second while no VM runs
    python3 inside.py facts         what this host is, and the versions of the tools

The program of exits.c, kvmexit and kvm_stat are in the folder of this file, with the headers that
bcc needs. The host's clocks count instructions and jump while nothing runs, so a time limit for a
tool would expire too early: tools run without one, and nothing here waits unless a tool is running.
The caller must enforce a timeout. Uses only the standard library.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

COUNT = 10_000
SHARED_COUNT = 1_920
"""Exits of a run; more of them find the same."""

TURNS = (1, 4, 16)
SHARING = 4
RUNS = 2
"""The least of them counts: a tool may still be starting in the first one, and on ARM64 every other
VM's turns take some 30 or 130 more each."""

PATIENCE = 3600.0
"""Seconds of the host's own time until a tool must be ready or gone; reading a disk takes many."""

HERE = Path(__file__).parent
TRACING = Path("/sys/kernel/tracing")
EVENTS = TRACING / "events/kvm"
REAL_TIME = Path("/proc/sys/kernel/sched_rt_runtime_us")
VULNERABILITIES = Path("/sys/devices/system/cpu/vulnerabilities")
X64 = os.uname().machine == "x86_64"


class Way(NamedTuple):
    """A way of running vCPUs; ``turn`` exits, then the next vCPU's turn, if they share a CPU."""

    name: str
    exits: int
    words: tuple[str, ...] = ()


ONE = Way("one", COUNT)
SHARED = tuple(
    Way(f"{'one' if vcpus == 1 else vcpus}, {turn}", SHARED_COUNT, (str(vcpus), str(turn)))
    for turn in TURNS
    for vcpus in (1, SHARING)
)


class Tool(NamedTuple):
    """Something that watches exits.

    ``words`` start it. With ``ready`` it is at work once it has printed that; without, it is given
    the workload as its last words, as ``after`` and one more word or as words of their own.
    ``trigger`` has ftrace do it instead: the file of an event and what to write to it, by event.
    ``shares`` has it measured with vCPUs that share a CPU, too: a thread at real-time priority
    leaves tools that work in user space no time to.
    """

    name: str
    words: tuple[str, ...] = ()
    ready: str = ""
    after: str = ""
    trigger: tuple[tuple[str, str, str], ...] = ()
    shares: bool = True

    @property
    def ways(self) -> tuple[Way, ...]:
        """In which ways it is measured."""
        return (ONE, *SHARED) if self.shares else (ONE,)


def _kstats(*words: str) -> Tool:
    # The interval, where the command has one, is the last word.
    name = " ".join(word for word in ("kstats", *words) if not word.isdigit())
    return Tool(name, ("kstats", *words, "--debug"), "exits through")


def _python(name: str, *words: str, ready: str) -> Tool:
    return Tool(name, ("python3", "-u", str(HERE / words[0]), *words[1:]), ready)


_BOTH = ("-e", "kvm:kvm_exit", "-e", "kvm:kvm_entry")
_REASON = "args->exit_reason" if X64 else "args->ret, args->esr_ec"
_KEYS = "exit_reason" if X64 else "ret,esr_ec"
_BY_REASON = f"tracepoint:kvm:kvm_exit {{ @[{_REASON}] = count(); }}"
_ALL_IN_ONE = "tracepoint:kvm:kvm_exit { @ = count(); }"
_HISTOGRAM = f"hist:keys={_KEYS}"

NOTHING = Tool("nothing")
TOOLS = (
    NOTHING,
    _kstats("cpu", "86400"),
    _kstats("exits"),
    _kstats("vcpu", "86400"),
    Tool("kstats vcpu --source kernel", ("kstats", "vcpu", "--source", "kernel", "1"), "vcpu"),
    _kstats("exits", "--time"),
    _kstats("exits", "--latency"),
    *(
        _kstats(*words, "--loader", "bcc")._replace(shares=False)
        for words in (("cpu", "86400"), ("exits",), ("exits", "--latency"))
    ),
    _python("kvm_stat, debugfs", "kvm_stat", "-d", "-l", "-s", "25", ready="\n"),
    _python("kvm_stat, tracepoints", "kvm_stat", "-t", "-l", "-s", "25", ready="kvm_exit"),
    # It knows the reasons of Intel and AMD.
    *([_python("bcc's kvmexit", "kvmexit", ready="Display kvm exit")] if X64 else []),
    Tool("perf stat, exits", ("perf", "stat", "-a", *_BOTH[:2], "-o", "/dev/null", "--")),
    Tool("perf stat, exits and entries", ("perf", "stat", "-a", *_BOTH, "-o", "/dev/null", "--")),
    Tool(
        "ftrace, exits by reason (hist)",
        trigger=(("kvm_exit/trigger", _HISTOGRAM, f"!{_HISTOGRAM}"),),
    ),
    Tool(
        "ftrace, exits and entries",
        trigger=(("kvm_exit/enable", "1", "0"), ("kvm_entry/enable", "1", "0")),
    ),
    Tool("bpftrace, one count of exits", ("bpftrace", "-q", "-e", _ALL_IN_ONE), after="-c"),
    Tool("bpftrace, exits by reason", ("bpftrace", "-q", "-e", _BY_REASON), after="-c"),
    Tool("perf kvm stat live", ("perf", "kvm", "stat", "live"), "Analyze", shares=False),
    Tool(
        "perf kvm stat record",
        ("perf", "kvm", "stat", "record", "-a", "-o", "/dev/null", "--"),
        shares=False,
    ),
)


def _shown(*words: str) -> tuple[str, tuple[str, ...]]:
    return " ".join(words), words


STARTS = (
    _shown("python3", "-c", "pass"),
    _shown("kstats", "--version"),
    _shown("kstats", "explain", "HLT"),
    _shown("kstats", "-v", "0.01", "1"),
    _shown("kstats", "-v", "0.01", "1", "--loader", "bcc"),
    _shown("kstats", "exits", "0.01"),
    _shown("kstats", "record", "-o", "/dev/null", "0.01", "1"),
    ("kvm_stat -d -1", ("python3", str(HERE / "kvm_stat"), "-d", "-1")),
    ("kvm_stat -t -1", ("python3", str(HERE / "kvm_stat"), "-t", "-1")),
    *([("kvmexit 1", ("python3", str(HERE / "kvmexit"), "1"))] if X64 else []),
    _shown("perf", "stat", "-a", "-e", "kvm:kvm_exit", "sleep", "0.01"),
    (
        "bpftrace, exits by reason",
        ("bpftrace", "-e", f"{_BY_REASON} interval:ms:10 {{ exit(); }}"),
    ),
)
"""Commands that are measured as a whole, with the processes that they start."""

IDLE = (
    _shown("kstats", "-v"),
    _shown("kstats", "exits"),
    _shown("kstats", "vcpu"),
    _shown("kstats", "record", "-o", "/dev/null"),
)
"""Commands that watch while no VM runs, without interval and count."""

SECONDS = 20

VERSIONS = (
    ("python3", "--version"),
    ("python3", "-c", "import bcc; print('bcc', bcc.__version__)"),
    ("bpftrace", "--version"),
    ("perf", "--version"),
)


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
                time.sleep(0.005)  # leaves the only CPU to the tool
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
def triggered(tool: Tool) -> Iterator[None]:
    """The kernel doing by itself what the tool has it do at events."""
    try:
        for file, on, _ in tool.trigger:
            (EVENTS / file).write_text(on)
        yield
    finally:
        for file, _, off in tool.trigger:
            (EVENTS / file).write_text(off)


def wrapped(tool: Tool, workload: Sequence[str]) -> None:
    """Run a workload that the tool itself starts."""
    command = [*tool.words, *([tool.after, " ".join(workload)] if tool.after else workload)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool.name}: {done.stdout}{done.stderr}")


def measure(tool: Tool) -> dict[str, float]:
    """Instructions an exit, by way of running them."""
    with TemporaryDirectory() as scratch:
        script, result = Path(scratch, "workload"), Path(scratch, "result")
        runs = [way for way in tool.ways for _ in range(RUNS)]
        lines = [f"{HERE}/exits {result} {way.exits} {' '.join(way.words)}\n" for way in runs]
        script.write_text("set -e\n" + "".join(lines))
        workload = ["/bin/sh", str(script)]
        if tool.words and not tool.ready:
            wrapped(tool, workload)
        else:
            working = triggered if tool.trigger else started if tool.words else nullcontext
            with working(tool):
                subprocess.run(workload, check=True)
        found = list(map(float, result.read_text().split()))
    least: dict[str, float] = {}
    for way, figure in zip(runs, found, strict=True):
        least[way.name] = min(figure, least.get(way.name, figure))
    return least


def started_once(words: Sequence[str]) -> tuple[float, float]:
    """Instructions of a command, as a nanosecond of CPU time each, and MiB of its largest process.

    The tools have run before, so that their files are in the kernel's cache.
    """
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words}: exit status {process.returncode}")
    return (used.ru_utime + used.ru_stime) * 1e9, used.ru_maxrss / 1024


def watched(words: Sequence[str]) -> float:
    """Instructions in each second of a command that reports every second, after the first two."""
    few, many = (started_once([*words, "1", str(2 + more)])[0] for more in (0, SECONDS))
    return (many - few) / SECONDS


def _first_line(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).splitlines()[0]


def facts() -> dict[str, str]:
    """This host's CPU and what the kernel does about it, and the tools' versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = {name.strip(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    flags = fields.get("flags", "").split()
    mitigated = [
        f"{file.name}: {text}"
        for file in sorted(VULNERABILITIES.iterdir())
        if (text := file.read_text().strip()) != "Not affected"
    ]
    return {
        "kernel": platform.release(),
        "CPU": fields.get("model name", platform.machine()),
        "copying": ", ".join(flag for flag in ("erms", "fsrm") if flag in flags) or "by words",
        "mitigations": "; ".join(mitigated) or "none needed",
        "tools": ", ".join(_first_line(words) for words in VERSIONS),
    }


def main() -> None:
    """Measures a tool, the starts, idle watching or the host, or names the tools."""
    if not sys.argv[1:]:
        print(*(tool.name for tool in TOOLS), sep="\n")
        return
    (name,) = sys.argv[1:]
    os.environ["BCC_KERNEL_SOURCE"] = str(HERE / "headers")
    if name == "starts":
        print(json.dumps({shown: started_once(words) for shown, words in STARTS}))
    elif name == "idle":
        print(json.dumps({shown: watched(words) for shown, words in IDLE}))
    elif name == "facts":
        print(json.dumps(facts()))
    else:
        (tool,) = (tool for tool in TOOLS if tool.name == name)
        REAL_TIME.write_text("-1")
        print(json.dumps(measure(tool)))


if __name__ == "__main__":
    main()
