"""The exporter as a process, on good days and bad ones."""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from kstats import recording
from kstats.cli import main
from tests.cli.process import finish, start
from tests.exporter.running import RECORDING, VIA, exporter, parsed, value, wait_log

FAST = ("--speed", "1000000")
STRANGE = "tests.exporter.strange"


def total() -> int:
    """The exits of the recording."""
    with recording.read(RECORDING) as samples:
        exits = (e for one in samples for places in one.exits.values() for e in places.values())
        return sum(e.count for e in exits)


def exits(page: str) -> float:
    found = parsed(page)
    return sum(n for (name, _), n in found.items() if name == "kvm_vm_exits_total")


def test_pages_and_formats() -> None:
    with exporter(*FAST) as running:
        response, landing = running.get("/")
        assert response.getheader("Content-Type", "").startswith("text/html")
        assert b'href="/metrics"' in landing
        assert [running.get(path)[0].status for path in ("/-/healthy", "/-/ready", "/x")] == [
            *(200, 200),
            404,
        ]
        response, page = running.get()
        assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert value(parsed(page.decode()), "kstats_up") == 1
        headers = {
            "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "Accept-Encoding": "gzip",
        }
        response, zipped = running.get(headers=headers)
        assert response.getheader("Content-Encoding") == "gzip"
        assert (response.getheader("Content-Type") or "").startswith("application/openmetrics-text")
        assert list(text_string_to_metric_families(gzip.decompress(zipped).decode()))
        assert running.stop() == 0


def test_scrapes_in_parallel_all_see_the_same_counts() -> None:
    with exporter(*FAST) as running, ThreadPoolExecutor(20) as clients:
        for _ in range(10_000):
            pages = {exits(b.decode()) for _, b in clients.map(lambda _: running.get(), range(20))}
            if pages == {total()}:
                break
        assert pages == {total()}


def test_a_path_of_its_own() -> None:
    with exporter("--web.telemetry-path", "/kvm/metrics") as running:
        assert running.get("/kvm/metrics")[0].status == 200
        assert running.get("/metrics")[0].status == 404
        assert b'href="/kvm/metrics"' in running.get("/")[1]


def test_the_log_is_logfmt() -> None:
    with exporter() as running:
        assert running.stop(signal.SIGINT) == 0
        wait_log(running.process, "msg=stopped", running.lines)
        lines = running.lines
    for line in lines:
        pairs = dict(pair.split("=", 1) for pair in shlex.split(line))
        assert list(pairs)[:3] == ["ts", "level", "msg"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", pairs["ts"])
        assert pairs["level"] == "info"


def test_a_port_in_use() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("exporter", "--input", RECORDING, "--web.listen-address", address)
        status, out, err = finish(start(*words, via=VIA))
    assert (status, out) == (1, "")
    first, hint = err.splitlines()
    assert first == f"kstats: cannot listen on {address}: Address already in use"
    assert hint.startswith("kstats: hint: choose another address with --web.listen-address")


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ("--textfile /nonexistent", 1, "cannot write to /nonexistent: No such file or directory"),
        ("--textfile /proc", 1, "cannot write to /proc: "),
        ("--input /nonexistent", 7, "/nonexistent: No such file or directory"),
        (f"--input {RECORDING} --time", 2, f"{RECORDING}: vCPU times were not recorded"),
        (f"--input {RECORDING} --durations", 2, f"{RECORDING}: latencies were not recorded"),
        (f"--input {RECORDING} --detail io", 2, f"{RECORDING}: io details were not recorded"),
    ],
)
def test_what_cannot_be(words: str, status: int, complaint: str) -> None:
    listen = ("--web.listen-address", "127.0.0.1:0")
    found, out, err = finish(start("exporter", *listen, *words.split(), via=VIA))
    assert (found, out) == (status, "")
    first, *hints = [line for line in err.splitlines() if line.startswith("kstats: ")]
    assert first.startswith(f"kstats: {complaint}")
    assert [hint.startswith("kstats: hint: ") for hint in hints] == [True] * (status != 7)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--detail colour", "unknown detail 'colour'"),
        ("--web.telemetry-path x", "invalid path 'x'"),
        ("--by socket", "invalid axis 'socket' for --by"),
        ("--durations=vm", "invalid value 'vm' for --durations"),
        ("--keep-ended soon", "invalid time 'soon' for --keep-ended"),
        ("--input x --speed 0", "--speed '0' is not between 0.001 and 1000000"),
    ],
)
def test_invalid_values(words: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exporter", *words.split()]) == 2
    first, hint = capsys.readouterr().err.splitlines()
    assert first.startswith(f"kstats: {complaint}")
    assert hint.startswith("kstats: hint: ")


@pytest.mark.parametrize(
    "words", ["--by cpu,vcpu", "--by vcpu,cpu", "--durations=vcpu", "--durations=vcpu,reason"]
)
def test_combinations_that_explode_are_refused(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exporter", *words.split()]) == 2
    assert re.search(r" would make [\d,]+ series on this host", capsys.readouterr().err)


def test_a_host_without_kvm_is_reported() -> None:
    with exporter(recording=None, via=("-m", STRANGE, "bare")) as running:
        assert value(running.values(), "kstats_up") == 0
        assert running.get("/-/healthy")[0].status == 200
        assert running.get("/-/ready")[0].status == 503
        assert any('level=error msg="cannot count"' in line for line in running.lines)
        assert running.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_although_counting_hangs(number: int) -> None:
    with exporter(recording=None, via=("-m", STRANGE, "hangs")) as running:
        with socket.create_connection((running.host, running.port)) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            running.wait_log("it hangs")
            assert running.get("/-/healthy")[0].status == 200
            assert running.stop(number) == 0
        wait_log(running.process, "msg=stopped", running.lines)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_a_file_for_node_exporter(tmp_path: Path) -> None:
    """It is there when the log says that it counts, and gone when it is no longer true."""
    path = tmp_path / "kstats.prom"
    with exporter("--textfile", str(tmp_path), *FAST) as running:
        assert [file.name for file in tmp_path.iterdir()] == ["kstats.prom"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert value(parsed(read(path)), "kstats_up") == 1
        assert "process_" not in read(path)
        assert running.stop() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_text_file_needs_no_port(tmp_path: Path) -> None:
    process = start("exporter", "--textfile", str(tmp_path), "--input", RECORDING, via=VIA)
    lines: list[str] = []
    wait_log(process, "msg=writing", lines)
    assert not any("msg=listening" in line for line in lines)
    assert "kvm_vm_exits_total" in read(tmp_path / "kstats.prom")
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 0


def test_reload_without_a_configuration() -> None:
    with exporter() as running:
        running.process.send_signal(signal.SIGHUP)
        running.wait_log("reloaded")
        assert running.get()[0].status == 200


def test_nobody_reads_the_log() -> None:
    """The log is a pipe that is full: lines are dropped, and clients get their answers."""
    with exporter() as running:
        assert running.process.stderr
        log = running.process.stderr.fileno()
        fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, 4096)
        filler = os.open(f"/proc/self/fd/{log}", os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while True:
                os.write(filler, b"\n")
        os.close(filler)
        for _ in range(3):
            running.process.send_signal(signal.SIGHUP)
            assert running.get("/-/healthy")[0].status == 200
        os.read(log, 1 << 16)
        running.process.send_signal(signal.SIGHUP)
        assert re.search(r" dropped=[123]$", running.wait_log("reloaded"))
        assert running.stop() == 0


def test_a_host_that_is_overloaded() -> None:
    """Twice as many processes that never wait as there are CPUs."""
    busy = [sys.executable, "-c", "while True: pass"]
    with exporter() as running, ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            process = stack.enter_context(subprocess.Popen(busy))
            stack.callback(process.kill)
        before = value(running.values(), "kstats_samples_total")
        assert value(running.values(), "kstats_up") == 1
        assert value(running.values(), "kstats_samples_total") >= before
