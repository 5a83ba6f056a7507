"""Recordings by strangers: every command copes with what they contain."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import typing
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from kstats import recording
from kstats.cli import COMMANDS, PROGRAMS, main
from kstats.cli.kvmexit import main as kvmexit
from tests.cli.test_replay import COUNTED, made
from tests.exporter.running import exporter
from tests.recording.samples import HEADER
from tests.samples import sample
from tests.top.terminal import Terminal

TEXT = "=\x1b[31m\x1b]8;;\x9b\r\nX\t\u2028\u202e\ud800<b>@a|`[x](y)"
"""Control sequences, lines, an override of direction, a lone surrogate, HTML and Markdown."""

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]|^X", re.MULTILINE)
"""What no output may contain, but a tab or a line feed between our own lines."""

BASE = attrs.evolve(
    made(1, 1.0),
    host_facts={"kernel": "x"},
    vm_facts={5: {"text": "x"}},
    vcpu_facts={5 << 32 | 6: {"text": "x"}},
    host_counters={"steal": 1},
    vm_counters={5: {"exits": 1}},
    vm_dropped={5: {"detail_dropped": 1}},
    interrupts={"IRQ 1": {0: 1}},
    scheduling={5 << 32 | 6: {"run": 1}},
)
KEPT = attrs.evolve(
    HEADER,
    arch="x64",
    host=attrs.evolve(HEADER.host, kernel="k", machine="m", cpu_model="c", boot_id="b"),
    isas=(recording.IsaTable("svm", "AMD SVM", 1, ""),),
    counted=(*COUNTED, "msr details", "msr latency"),
)


def hostile(value: Any) -> Any:
    """Return a value with every text in it replaced, however deep; enumerations stay."""
    if type(value) is str:
        return TEXT
    if attrs.has(type(value)):
        names = [f.name for f in attrs.fields(type(value))]
        return attrs.evolve(value, **{name: hostile(getattr(value, name)) for name in names})
    if isinstance(value, Mapping):
        return {hostile(key): hostile(item) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [hostile(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value


def variants(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the value with one field after the other made hostile, by the field's name."""
    hints = typing.get_type_hints(type(value))
    for field in attrs.fields(type(value)):
        before = getattr(value, field.name)
        after = hostile(before)
        assert after != before or "str" not in str(hints[field.name]), f"{field.name} has no text"
        if after != before:
            yield field.name, attrs.evolve(value, **{field.name: after})


SAMPLES = dict(variants(BASE))
HEADERS = {f"header {name}": header for name, header in variants(KEPT) if name != "counted"}


def outputs(path: str, page: Path) -> Iterator[list[str]]:
    """Yield the command lines that read a recording: every command in every format."""
    for command in (*COMMANDS, *PROGRAMS):
        parser = import_module(f"kstats.cli.{command}").parser()
        actions = {option: a for a in parser._actions for option in a.option_strings}
        operands = [a.metavar for a in parser._actions if not a.option_strings]
        if command in ("top", "exporter") or not ("--input" in actions or "SOURCE" in operands):
            continue
        words = [command, "--input", path] if "--input" in actions else [command, path, path]
        if command == "report":
            yield [command, path, "-o", str(page)]
            continue
        forms = actions["--format"].choices if "--format" in actions else ()
        yield from ([*words, "-f", form] for form in forms or ()) if forms else [words]
        if command == "exits":
            axes = "vm,vcpu,tid,reason,column,category,isa"
            yield from ([*words, "-f", form, "--by", axes] for form in forms or ())
            yield from ([*words, *more] for more in (["--slower-than", "1ms"], ["--time"]))
            yield from ([*words, *more] for more in (["--latency"], ["--detail", "msr"]))


@pytest.mark.parametrize("field", [*SAMPLES, *HEADERS])
def test_no_text_of_a_recording_is_written_as_it_is(
    field: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path, page = tmp_path / "x.jsonl", tmp_path / "x.html"
    with recording.Writer(path, HEADERS.get(field, KEPT)) as writer:
        writer.write(SAMPLES.get(field, BASE))
    for words in outputs(str(path), page):
        status = kvmexit(words[1:]) if words[0] == "kvmexit" else main(words)
        out, error = capfdbinary.readouterr()
        assert status != 4
        assert not RAW.search(error.decode()), words
        form = words[words.index("-f") + 1] if "-f" in words else ""
        if form == "perfetto":
            assert not RAW.search("\n".join(texts(Trace.FromString(out))))
            continue
        text = out.decode() if words[0] != "report" or status else page.read_text()
        assert not RAW.search(text), words
        check(form, text)


def texts(message: Any) -> Iterator[str]:
    """Yield every text in a message of protocol buffers."""
    for _, value in message.ListFields():
        for one in value if hasattr(value, "append") else [value]:
            if hasattr(one, "ListFields"):
                yield from texts(one)
            elif isinstance(one, str):
                yield one


READABLE = attrs.evolve(
    BASE,
    **{
        name: getattr(SAMPLES[name], name)
        for name in ("threads", "vm_facts", "vcpu_facts", "interrupts", "events", "notes")
    },
)
"""Hostile text in all fields but those without which nothing is counted."""


@pytest.fixture
def readable(tmp_path: Path) -> str:
    path = tmp_path / "readable.jsonl"
    with recording.Writer(path, HEADERS["header host"]) as writer:
        for n in range(3):
            writer.write(attrs.evolve(READABLE, time=READABLE.time + n))
    return str(path)


def test_the_exporter_serves_no_text_of_a_recording_as_it_is(readable: str) -> None:
    more = ("--by", "vcpu", "--time", "--durations=reason", "--speed", "1000000")
    with exporter(*more, recording=readable) as running:
        _, plain = running.get()
        _, openmetrics = running.get(headers={"Accept": "application/openmetrics-text"})
        assert running.stop() == 0
    for page, parse in (
        (plain, parser.text_string_to_metric_families),
        (openmetrics, openmetrics_parser.text_string_to_metric_families),
    ):
        assert not RAW.search(page.decode())
        labels = [
            value
            for family in parse(page.decode())
            for sample in family.samples
            for value in sample.labels.values()
        ]
        assert [value for value in labels if "8;;" in value]
        assert not RAW.search("\n".join(labels))


def test_top_shows_no_text_of_a_recording_as_it_is(readable: str) -> None:
    with Terminal(sys.executable, "-m", "kstats", "top", "--input", readable) as terminal:
        terminal.wait("q:quit")
        for key, heading in (("2", "/vCPU·s"), ("3", "wait%"), ("4", "category / reason")):
            terminal.press(key)
            terminal.wait(heading)
        terminal.press("5")
        terminal.wait(lambda text: "category / reason" not in text)
        terminal.press("q")
        assert terminal.finish() == 0
    written = terminal.raw.decode()
    assert "8;;" in written
    assert not re.search("\x1b\\]|[\x80-\x9f\u2028-\u202e]", written)


def check(form: str, text: str) -> None:
    """Assert that an output is valid, and nothing in it is markup or a formula."""
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-(?![\d.]+$)", cell)]
    elif form == "json":
        for line in text.splitlines():
            json.dumps(json.loads(line), ensure_ascii=False).encode()  # fails with surrogates
    elif form == "markdown":
        assert "<b>" not in re.sub(r"(`+).*?\1|\\.", "", text)
    elif text.startswith("<!"):
        assert "<b>@a" not in text


_NUMBERS = st.integers(0, 1 << 70) | st.integers(0, 9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS), min_size=1, max_size=3))
def test_what_decode_writes_is_read_back(numbers: list[tuple[int, ...]]) -> None:
    with TemporaryDirectory() as folder:
        trace, path = Path(folder, "trace.txt"), Path(folder, "x.jsonl")
        trace.write_text(
            "".join(
                f"CPU 0/KVM {tid} [{cpu}] {time}.5: kvm:kvm_exit:"
                f" vcpu {vcpu} reason EPT_VIOLATION rip 0xfff0 info 0 0\n"
                for tid, cpu, time, vcpu in numbers
            )
        )
        status = main(["decode", str(trace), "-o", str(path)])
        assert status in (0, 1, 7, 8)
        if status in (0, 8):
            with recording.read(path) as kept:
                assert list(kept)


def test_decode_writes_no_times_that_cannot_be_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, path = tmp_path / "log.csv", tmp_path / "x.jsonl"
    log.write_text("timestamp,kvm_entry,kvm_exit,kvm_exit(HLT)\n0001-01-01 00:00:00,1,1,1\n")
    assert main(["decode", str(log), "-o", str(path)]) == 7
    assert "time: -6.21356e+10 seconds are out of range" in capsys.readouterr().err
    assert not path.exists()


def test_a_recording_never_says_that_this_host_shows_no_exits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 4 is about this host; a recording with an ISA of another architecture is damaged."""
    path = tmp_path / "mixed.jsonl"
    mixed = attrs.evolve(sample({("vmx", 48): {0: 1}}), arch="arm64", isa="vmx")
    header = attrs.evolve(HEADER, arch="arm64", counted=(*HEADER.counted, "threads"))
    with recording.Writer(path, header) as writer:
        writer.write(mixed)
    assert main(["vcpu", "--input", str(path)]) == 7
    assert f"{path}: the backend arm64 has no kvmstat columns for 'vmx'" in capsys.readouterr().err
