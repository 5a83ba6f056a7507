"""A fleet: three hosts of three architectures, Prometheus, Alertmanager and VictoriaMetrics."""

from __future__ import annotations

import json
import queue
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from tests.fleet.engines import (
    ROOT,
    Engine,
    alertmanager,
    certify,
    prometheus,
    started,
    victoria_metrics,
)
from tests.fleet.recordings import EXAMPLES, ISAS, complete

DEPLOY = ROOT / "deploy/prometheus"
_LISTENING = re.compile(r"msg=listening address=(\S+)")


@attrs.frozen
class Fleet:
    """Engines that watch exporters.

    Attributes:
        prometheus: Scrapes every second, with the project's own configuration and rules.
        victoria: Gets the same samples from it.
        running: The addresses of exporters that replay their recording for ever, by ISA.
        finished: Those of exporters that replayed their recording once, by ISA; behind TLS and a
            password.
        notified: What Alertmanager sent.
    """

    prometheus: Engine
    victoria: Engine
    running: dict[str, str]
    finished: dict[str, str]
    notified: queue.Queue[Any]


@contextmanager
def exporter(file: Path, *options: str) -> Iterator[str]:
    """Run kstats exporter on a recording; give its host and port."""
    words = [sys.executable, "-m", "kstats", "exporter", "--input", str(file), *options]
    words += ["--web.listen-address", "127.0.0.1:0"]
    with started(words, _logged) as address:
        yield address


def _logged(_: int, line: str) -> str | None:
    match = _LISTENING.search(line)
    return match[1] if match else None


@contextmanager
def receiver(take: Callable[[Any], None]) -> Iterator[str]:
    """Run a server that takes what Alertmanager sends; give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def configuration(jobs: Mapping[str, Sequence[str]], alerts: str, store: str) -> dict[str, Any]:
    """Return the project's configuration, with addresses of this machine and short intervals.

    What is a comment in it, for hosts with TLS and passwords, is in the jobs.
    """
    text = (DEPLOY / "prometheus.yml").read_text().replace("    # ", "    ")
    config: dict[str, Any] = yaml.safe_load(
        text.replace("    With --web.config.file", "    # With")
    )
    (scrape,) = config["scrape_configs"]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / pattern) for pattern in config["rule_files"]]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alerts]
    config["scrape_configs"] = [
        {
            **scrape,
            "job_name": job,
            "scrape_interval": "1s",
            "static_configs": [{"targets": list(targets)}],
        }
        for job, targets in jobs.items()
    ]
    config["remote_write"] = [{"url": f"{store}/api/v1/write"}]
    return config


def opened(config: dict[str, Any], folder: Path) -> str:
    """Return the configuration as text: the first job without TLS, the second with it."""
    plain, closed = config["scrape_configs"]
    for name in ("scheme", "tls_config", "basic_auth"):
        del plain[name]
    assert closed["scheme"] == "https"
    closed["tls_config"]["ca_file"] = str(folder / "cert")
    closed["basic_auth"]["username"] = "reader"
    closed["basic_auth"]["password_file"] = str(folder / "password")
    (folder / "password").write_text("correct horse")
    return yaml.safe_dump(config)


def routing(url: str) -> str:
    """Return the configuration of Alertmanager that sends alerts at once."""
    route = {"receiver": "test", "group_wait": "0s", "group_by": ["alertname", "instance"]}
    receivers = [{"name": "test", "webhook_configs": [{"url": url, "send_resolved": False}]}]
    return yaml.safe_dump({"route": route, "receivers": receivers})


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    certify(folder)
    closed = ("--web.config.file", str(folder / "web.yml"))
    everything = ("--by", "vcpu", "--time", "--durations")
    with ExitStack() as stack:
        running = {
            isa: stack.enter_context(
                exporter(
                    complete(isa, folder / f"{isa}.jsonl"), "--loop", "--speed", "10", *everything
                )
            )
            for isa in ISAS
        }
        finished = {
            isa: stack.enter_context(exporter(path, "--speed", "1000", *closed))
            for isa, path in EXAMPLES.items()
        }
        notified: queue.Queue[Any] = queue.Queue()
        url = stack.enter_context(receiver(notified.put))
        (folder / "alertmanager.yml").write_text(routing(url))
        alerts = stack.enter_context(
            alertmanager(folder / "alertmanager.yml", folder / "alertmanager")
        )
        victoria = stack.enter_context(victoria_metrics(folder / "victoria"))
        jobs = {"kstats": list(running.values()), "kstats-finished": list(finished.values())}
        config = configuration(jobs, alerts.url.removeprefix("http://"), victoria.url)
        (folder / "prometheus.yml").write_text(opened(config, folder))
        watching = stack.enter_context(prometheus(folder / "prometheus.yml", folder / "prometheus"))
        yield Fleet(watching, victoria, running, finished, notified)
