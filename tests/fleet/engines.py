"""Run Prometheus, Alertmanager and VictoriaMetrics on ports of their own.

The Debian packages are unpacked, not installed: no service starts.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import attrs

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
UNPACKED = ROOT / ".cache" / "engines"
PACKAGES = (
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "victoria-metrics",
)
DEADLINE = 300.0
"""Seconds until something that does not come is an error; long enough for a busy machine."""

PAUSE = 0.1
"""Seconds between two looks at an engine."""

WEB_CONFIG = """\
tls_server_config:
  cert_file: cert
  key_file: key
basic_auth_users:
  reader: $2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e
"""
"""The file of servers of Prometheus' kind, with the password `correct horse`."""

TEMPLATES = "/usr/share/prometheus/alertmanager"
"""Where Debian's Alertmanager looks for the templates of its messages."""

_READY = 'msg="Server is ready to receive web requests."'
_ADDRESS = re.compile(r'msg="Listening on" address=(\S+)')


@functools.cache
def program(name: str) -> str:
    """Return the path of a program of the packages, which are unpacked if they are missing."""
    subprocess.run(["tools/unpack", UNPACKED, *PACKAGES], cwd=ROOT, check=True, timeout=DEADLINE)
    return str(UNPACKED / "usr/bin" / name)


def promtool(*words: str | Path, **run: Any) -> subprocess.CompletedProcess[str]:
    """Run promtool; its output is captured."""
    return subprocess.run(
        [program("promtool"), *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        **run,
    )


def certify(folder: Path) -> None:
    """Write a key and a certificate of localhost: the files key and cert."""
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    words += " -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    words += " -keyout key -out cert"
    subprocess.run(words.split(), cwd=folder, check=True, capture_output=True, timeout=DEADLINE)
    (folder / "web.yml").write_text(WEB_CONFIG)


def until(what: str, look: Callable[[], T | None]) -> T:
    """Return the first result of ``look`` that is not empty; fail if none comes.

    An engine that is too busy to answer is asked again.
    """
    end = time.monotonic() + DEADLINE
    fault: OSError | None = None
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except OSError as error:
            fault = error
        threading.Event().wait(PAUSE)
    raise AssertionError(f"waited in vain: {what}") from fault


@attrs.frozen
class Engine:
    """A running engine; ``url`` ends before the path of its API."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """Return what the API answers."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return json.loads(self.fetch(f"{path}{query}"))

    def fetch(self, path: str, data: bytes | None = None) -> bytes:
        """Return the body of an answer to GET, or to POST if there are ``data``."""
        url = f"{self.url}{path}"
        with urllib.request.urlopen(url, data, timeout=DEADLINE) as response:  # noqa: S310 - http
            body: bytes = response.read()
            return body

    def query(self, promql: str, **parameters: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        answer = self.get("/api/v1/query", query=promql, **parameters)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def values(self, promql: str, label: str, **parameters: str) -> dict[str, float]:
        """Return the values of an instant query by one of their labels."""
        found = self.query(promql, **parameters)
        return {item["metric"].get(label, ""): float(item["value"][1]) for item in found}


@contextmanager
def started(
    words: Sequence[str | Path], address: Callable[[int, str], str | None], cwd: Path = ROOT
) -> Iterator[str]:
    """Run a server; give the address that ``address`` finds with its process ID and a log line."""
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=cwd
    )
    assert process.stderr
    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    log: list[str] = []
    drain = threading.Thread(target=lambda: log.extend(process.stderr or ()))
    try:
        for line in process.stderr:
            log.append(line)
            if found := address(process.pid, line):
                break
        else:
            raise AssertionError(f"{words[0]} ended: {''.join(log[-20:])}")
        timer.cancel()
        drain.start()  # an engine that cannot write its log would stop
        yield found
    finally:
        timer.cancel()
        process.terminate()
        try:
            process.wait(DEADLINE)
        finally:
            process.kill()
            process.wait()
            if drain.ident:
                drain.join()
            process.stderr.close()


def _logged(_: int, line: str) -> str | None:
    match = _ADDRESS.search(line)
    return f"http://{match[1]}" if match else None


def _listening(pid: int, line: str) -> str | None:
    # VictoriaMetrics logs the address that it was given, with the port 0, before it listens.
    if "pprof handlers are exposed" not in line:
        return None
    return f"http://127.0.0.1:{until('it listens', lambda: _port(pid))}"


def _port(pid: int) -> int | None:
    """Return the TCP port on which a process listens."""
    sockets = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            sockets.add(str(fd.readlink()))
    for row in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, _, state, *_, inode = row.split()[:10]
        if state == "0A" and f"socket:[{inode}]" in sockets:
            return int(local.rpartition(":")[2], 16)
    return None


@contextmanager
def prometheus(config: Path, data: Path, *options: str) -> Iterator[Engine]:
    """Run Prometheus, which keeps old samples for ever, until it is ready and longer."""
    words = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        "--web.listen-address=127.0.0.1:0",
        "--web.enable-lifecycle",
        *options,
    ]
    log: list[str] = []

    def ready(pid: int, line: str) -> str | None:
        log.append(line)  # the two lines come in either order
        return _logged(pid, text) if _READY in (text := "".join(log)) else None

    with started(words, ready) as url:
        yield Engine(url)


@contextmanager
def alertmanager(config: Path, data: Path) -> Iterator[Engine]:
    """Run Alertmanager without peers."""
    words: list[str | Path] = [
        _with_templates(program("prometheus-alertmanager"), data),
        f"--config.file={config}",
        f"--storage.path={data}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    ]
    with started(words, _logged, Path(f"{UNPACKED}{TEMPLATES}")) as url:
        yield Engine(url)


def _with_templates(path: str, folder: Path) -> Path:
    """Return a copy of Alertmanager that looks for its templates in the current directory.

    Packages that are only unpacked have nothing in /usr/share. The new path is as long as the old.
    """
    folder.mkdir()
    copy = folder / "alertmanager"
    here = ".".ljust(len(TEMPLATES), "/")
    copy.write_bytes(Path(path).read_bytes().replace(TEMPLATES.encode(), here.encode()))
    copy.chmod(0o700)
    return copy


@contextmanager
def node_exporter(folder: Path) -> Iterator[Engine]:
    """Run node_exporter with the textfile collector only."""
    words = [
        program("prometheus-node-exporter"),
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={folder}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with started(words, _logged) as url:
        yield Engine(url)


@contextmanager
def victoria_metrics(data: Path, *options: str) -> Iterator[Engine]:
    """Run VictoriaMetrics, which keeps old samples for ever."""
    words = [
        program("victoria-metrics"),
        f"-storageDataPath={data}",
        "-retentionPeriod=100y",
        "-httpListenAddr=127.0.0.1:0",
        "-search.latencyOffset=0s",
        *options,
    ]
    with started(words, _listening) as url:
        yield Engine(url)
