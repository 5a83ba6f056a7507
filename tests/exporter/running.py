"""Run ``kstats exporter`` as a process, and scrape it."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import attrs
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.process import DEADLINE, deadline, start

ROOT = Path(__file__).parents[2]
RECORDING = str(ROOT / "examples/recordings/svm.jsonl")
VIA = ("-m", "kstats")
_LISTENS = re.compile(r"msg=listening address=(\S+):(\d+)")

Labels = tuple[tuple[str, str], ...]
Values = dict[tuple[str, Labels], float]
"""Values by the name of the sample and its sorted labels."""


@attrs.frozen(eq=False)
class Exporter:
    """A running exporter.

    Attributes:
        process: Its process; standard error is a pipe.
        host: Where it listens.
        port: Same.
        lines: The lines of its log that were read so far.
    """

    process: subprocess.Popen[str]
    host: str
    port: int
    lines: list[str]

    def get(
        self, path: str = "/metrics", headers: Mapping[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Return the response to a request, and its body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def values(self) -> Values:
        """Scrape; return the values."""
        response, body = self.get()
        assert response.status == 200
        return parsed(body.decode())

    def wait_log(self, words: str) -> str:
        """Return the next line of the log that contains ``words``."""
        return wait_log(self.process, words, self.lines)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


def parsed(text: str) -> Values:
    """Return the values on a page in Prometheus' text format."""
    found: Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def value(values: Values, name: str, **labels: str) -> float:
    """Return a value; raise KeyError if the page lacks it."""
    return values[name, tuple(sorted(labels.items()))]


def wait_log(process: subprocess.Popen[str], words: str, lines: list[str]) -> str:
    """Return the next line of a process's log that contains ``words``; keep those before it."""
    log: IO[str] | None = process.stderr
    assert log
    with deadline(process):
        for line in log:
            lines.append(line)
            if words in line:
                return line
    raise AssertionError(f"it ended without {words!r}: {''.join(lines)}")


@contextmanager
def exporter(
    *words: str,
    recording: str | None = RECORDING,
    via: tuple[str, ...] = VIA,
    listen: str = "127.0.0.1:0",
) -> Iterator[Exporter]:
    """Run an exporter on a port of its own until the block ends."""
    replay = () if recording is None else ("--input", recording)
    process = start("exporter", "--web.listen-address", listen, *replay, *words, via=via)
    lines: list[str] = []
    try:
        match = _LISTENS.search(wait_log(process, "msg=listening", lines))
        assert match
        yield Exporter(process, match[1].strip("[]"), int(match[2]), lines)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
