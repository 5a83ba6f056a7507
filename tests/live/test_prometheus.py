"""A Prometheus that scrapes ``kstats exporter`` in an emulated host stores every exit."""

from __future__ import annotations

import signal
import socket
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.hosts import Host
from lab.vmm import workload as workloads
from tests.exporter.running import Values
from tests.fleet.engines import DEADLINE, ROOT, Engine, prometheus, until
from tests.live.conftest import Bed, beds
from tests.live.guests import guest
from tests.live.test_exporter import COUNTED, LOADS, VM, by_reason, certain, machine

pytestmark = [pytest.mark.host, pytest.mark.fleet]

FORWARD = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as exporter:
    exporter.sendall(sys.stdin.buffer.read())
    while piece := exporter.recv(65536):
        sys.stdout.buffer.write(piece)
"""
END = b"\r\n\r\n"


@pytest.mark.parametrize("bed", beds("svm"), indirect=True, scope="session")
def test_prometheus_stores_every_exit(bed: Bed, host: Host, tmp_path: Path) -> None:
    """Those of a guest that begins a series, and of one that continues it."""
    load = LOADS[machine(bed)]
    counts = workloads.expected(workloads.parse(load), bed.isa)
    wanted = Counter({name: n for (_, name), n in counts.items()})
    config = tmp_path / "prometheus.yml"
    with (
        host.start(["kstats", "exporter"]) as exporter,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        exporter.wait_output("msg=listening")
        listener.settimeout(0)
        config.write_text(configuration(f"127.0.0.1:{listener.getsockname()[1]}"))

        def stored(engine: Engine, guests: int) -> Counter[str] | None:
            """Return the last counts if they cover so many guests."""
            relay(listener, host)
            values = last(engine, "kvm_vm_exits_total")
            found = certain(by_reason(values, "kvm_vm_exits_total", vm=VM), load, bed.isa)
            return found if found.total() >= guests * wanted.total() else None

        with prometheus(config, tmp_path / "data") as engine:
            with guest(host, "--cpu", "1", "--workload", load):
                before = until("Prometheus has the first guest", lambda: stored(engine, 1))
            with guest(host, "--cpu", "1", "--workload", load):
                after = until("Prometheus has both guests", lambda: stored(engine, 2))

            def lost() -> list[dict[str, Any]]:
                relay(listener, host)
                return engine.query("kstats_losses_total")

            # None while scrapes take too long.
            losses = until("Prometheus has losses", lost)
        assert exporter.stop(signal.SIGTERM).status == 0
    assert before == wanted
    assert after - before == wanted
    assert {loss["value"][1] for loss in losses} == {"0"}


def configuration(target: str) -> str:
    """Return the project's scrape configuration for one target."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [target]}]
    job["scrape_timeout"] = job["scrape_interval"]  # the emulated host is slow
    return yaml.safe_dump({"scrape_configs": [job]})


def relay(listener: socket.socket, host: Host) -> None:
    """If a scrape waits, answer it with what the exporter in the host answers.

    The test calls this in its own thread, because only one thread may use a host.
    """
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return
    with connection, suppress(ConnectionError):  # a scrape that waited too long was given up
        connection.settimeout(DEADLINE)
        request = b""
        while not request.endswith(END):
            if not (piece := connection.recv(65536)):
                return
            request += piece
        request = request.removesuffix(END) + b"\r\nConnection: close" + END
        answer = host.run(["python3", "-ISc", FORWARD, COUNTED], stdin=request).check()
        connection.sendall(answer.stdout.encode(errors="surrogateescape"))


def last(engine: Engine, metric: str) -> Values:
    """Return the last sample that Prometheus has of each series of a metric."""
    return {
        (metric, tuple(sorted(series["metric"].items()))): float(series["value"][1])
        for series in engine.query(metric)
    }
