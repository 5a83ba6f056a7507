"""What is fuzzed: each function reads bytes, and raises only if kstats has a bug.

Beyond the documented errors, each checks what must hold of its result. The limits of memory and
time hold for all of them: see :mod:`tests.fuzz.__main__`.
"""

from __future__ import annotations

import atexit
import ctypes
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from kstats.arch.lookup import UnknownReasonError
from kstats.collector.kvm_stats import layout
from kstats.errors import KstatsError, RecordingError, UsageError
from kstats.explain.lookup import find
from kstats.exporter import http, web_config
from kstats.facts.host import host_counters, host_facts
from kstats.facts.interrupts import host_interrupts
from kstats.facts.model import Facts
from kstats.facts.vm import VmReader
from kstats.host import Host
from kstats.importers import _exits as exits
from kstats.importers import decode
from kstats.loader.btf import Btf, NoBtfError
from kstats.model import Sample
from kstats.prometheus.client import Client
from kstats.recording import Recording, merged
from kstats.recording.decode import Decoder
from kstats.recording.encode import Encoder, header_line
from kstats.vms.proc import Proc
from kstats.vms.process import Process
from kstats.why import render
from kstats.why.engine import Judge
from kstats.why.evidence import Evidence
from tests.recording.samples import HEADER
from tests.recording.test_malformed import GOOD

ROOT = Path(__file__).parents[1]
CORPUS = Path(__file__).parent / "corpus"

PID, TID = 77, 77


@contextmanager
def checked(kind: type[KstatsError]) -> Iterator[None]:
    """Suppress a documented error if its message and hint are one printable line each."""
    try:
        yield
    except kind as error:
        assert str(error).isprintable(), str(error)
        assert error.hint.isprintable(), error.hint


def printable(text: str) -> bool:
    """Return whether a text has nothing but printable characters on lines."""
    return all(line.isprintable() for line in text.split("\n"))


def _numbers(facts: Facts) -> dict[str, int]:
    return {name: n for name, n in facts.flat().items() if isinstance(n, int)}


@cache
def _folder() -> Path:
    """Return a folder for the files of this process."""
    folder = Path(tempfile.mkdtemp(prefix="kstats-fuzz-"))
    atexit.register(shutil.rmtree, folder)
    for path in _FILES:
        (folder / "host" / path).parent.mkdir(parents=True, exist_ok=True)
    for name in ("comm", "stat", "status"):
        (folder / f"host/proc/{PID}" / name).symlink_to(f"task/{TID}/{name}")
    return folder


@cache
def _libbpf() -> ctypes.CDLL:
    lib = ctypes.CDLL("libbpf.so.1")
    lib.libbpf_set_print(None)
    lib.btf__new.restype = ctypes.c_void_p
    lib.btf__new.argtypes = (ctypes.c_char_p, ctypes.c_uint32)
    lib.btf__free.argtypes = (ctypes.c_void_p,)
    return lib


class _Library:
    """libbpf on a host with a kernel of our making."""

    def __init__(self, data: bytes) -> None:
        new = _libbpf().btf__new(data, len(data))
        # An error is a small negative number in older versions.
        self.btf = None if new is None or new > 1 << 63 else new
        self.btf__load_vmlinux_btf = lambda: self.btf
        self.btf__load_module_btf = lambda *_: None

    def __getattr__(self, name: str) -> Any:
        return getattr(_libbpf(), name)


class _Answers(Client):
    """An engine that always gives the same answer."""

    def __init__(self, body: bytes) -> None:
        self.url = "http://engine"
        self._body = body

    def _fetched(self, url: str) -> bytes:
        assert url.startswith(self.url)
        return self._body


def recording(data: bytes) -> None:
    """Read a recording; what can be read can be written, and is the same when read again."""
    encoder, decoder = Encoder(), Decoder()
    decoder.line(header_line(HEADER))
    with checked(RecordingError):
        for sample in Recording("fuzz", io.BytesIO(data)):
            again = decoder.line(encoder.line(sample))
            assert again is not None
            assert attrs.asdict(again, recurse=False) == attrs.asdict(sample, recurse=False)
            assert bool(sample.timestamp) == bool(sample.time)  # 0: unknown


def why(data: bytes) -> None:
    """Look for findings in a recording; they are text on lines, and valid JSON."""
    judge = Judge()
    with checked(RecordingError):
        for sample in merged(Recording("fuzz", io.BytesIO(data)), 2.5):
            judge.add(Evidence.of(sample))
    report = judge.report()
    assert printable(render.text(report))
    assert printable(render.markdown(report))
    json.loads(render.as_json(report))


def decoded(data: bytes) -> None:
    """Decode the output of another tool; what is written of it counts the same."""
    encoder, decoder = Encoder(), Decoder()
    decoder.line(header_line(HEADER))
    with checked(KstatsError):
        for sample in decode(io.BytesIO(data), interval=1.0):
            try:
                line = encoder.line(sample)
            except ValueError:  # sums beyond 2**64, times outside the calendar
                return
            again = decoder.line(line)
            assert again is not None
            assert exits(again) == exits(sample)


def btf(data: bytes) -> None:
    """Look up members in the BTF of a kernel."""
    handle = _Library(data)
    if not handle.btf:
        return
    try:
        types = Btf(handle, ())
        for path in ("outer.i.m", "outer.m.x", "outer.x", "inner.m"):
            with suppress(NoBtfError):
                assert types.offset(path) >= 0
    finally:
        _libbpf().btf__free(handle.btf)


def kvm_stats(data: bytes) -> None:
    """Read KVM's binary statistics."""
    try:
        found = layout.parse(data)
    except layout.FormatError as error:
        assert "\n" not in str(error)
        return
    counters = found.counters(data[found.data_offset :])
    assert set(counters) <= {stat.name for stat in found.stats}


def web(data: bytes) -> None:
    """Read a web configuration; each of its headers is one line."""
    path = _folder() / "web.yml"
    path.write_bytes(data)
    with checked(UsageError):
        config = web_config.load(str(path))
        assert all("\n" not in value for value in config.headers.values())


def requests(data: bytes) -> None:
    """Read the header of an HTTP request."""
    try:
        request = http.parse(data)
    except http.BadRequestError as error:
        assert error.status in {400, 405, 431}
        return
    assert request.method in {"GET", "HEAD"}
    request.accepts("accept", "application/openmetrics-text")
    request.accepts("accept-encoding", "gzip")
    web_config._basic(request.headers.get("authorization", ""))


def proc(data: bytes) -> None:
    """Read a process, a thread and a host from /proc and /sys; what is read can be recorded."""
    root = _folder() / "host"
    parts = data.split(b"\n%\n")
    for path, part in zip(_FILES, [*parts, *[b""] * len(_FILES)], strict=False):
        (root / path).write_bytes(part)
    host = Host(root, "x86_64")
    process = Process(Proc(root), PID, certain=True)
    process.refresh([])
    thread = PID << 32 | TID
    reader = VmReader(host)
    with checked(UsageError):
        sample = Sample(
            arch="x64",
            time=1.0,
            elapsed=1.0,
            cpus=(0,),
            entries={},
            exits={},
            threads={PID << 32 | tid: found for tid, found in process.threads.items()},
            host_facts=host_facts(host).flat(),
            host_counters=_numbers(host_counters(host)),
            interrupts=host_interrupts(host),
            vm_facts={pid: facts.flat() for pid, facts in reader.vms({PID: {TID}}).items()},
            vcpu_facts={n: facts.flat() for n, facts in reader.vcpus([thread]).items()},
            scheduling={n: _numbers(one) for n, one in reader.scheduling([thread]).items()},
        )
        Encoder().line(sample)


def explain(data: bytes) -> None:
    """Explain a line."""
    text = data.decode(errors="surrogateescape")
    try:
        assert find(text)
    except UnknownReasonError as error:
        assert printable(str(error))


def prometheus(data: bytes) -> None:
    """Read the answer of an engine."""
    with checked(RecordingError):
        _Answers(data).at("up", 0)
    with checked(RecordingError):
        _Answers(data).between("up", 0, 60, 60)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "recording": recording,
    "why": why,
    "decode": decoded,
    "btf": btf,
    "kvm_stats": kvm_stats,
    "web_config": web,
    "http": requests,
    "proc": proc,
    "explain": explain,
    "prometheus": prometheus,
}
"""Every target by name."""


def seeds(name: str) -> Iterator[bytes]:
    """Yield good inputs of a target: its corpus, and files that other tests read."""
    for path in sorted((CORPUS / name).glob("*")):
        yield path.read_bytes()
    if name in ("recording", "why"):
        yield "".join(GOOD).encode()
    for folder in _DATA.get(name, ()):
        for path in sorted((ROOT / "data" / folder).rglob("*")):
            if path.is_file():
                yield path.read_bytes()[:MOST_BYTES]


MOST_BYTES = 1 << 13
"""The size of an input; nothing above it is tried."""

_DATA = {
    "decode": ("decode", "pasted", "tables"),
    "explain": ("explain",),
    "kvm_stats": ("kvmstats",),
}

_FILES = (
    *(f"proc/{PID}/cmdline", f"proc/{PID}/task/{TID}/comm", f"proc/{PID}/task/{TID}/stat"),
    *(f"proc/{PID}/task/{TID}/status", f"proc/{PID}/cgroup", f"proc/{PID}/task/{TID}/schedstat"),
    *(f"proc/{PID}/task/{TID}/sched", "proc/stat", "proc/interrupts", "proc/meminfo"),
    *("proc/cmdline", "proc/cpuinfo", "sys/devices/system/cpu/online"),
)
