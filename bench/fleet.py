"""What a fleet costs an engine: 200 simulated hosts in one Prometheus, then in VictoriaMetrics.

The hosts' pages are those of the exporter, with counts of this module. Each engine scrapes them
for some rounds, then answers the queries of rules and dashboards.
"""

from __future__ import annotations

import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import zip_longest
from pathlib import Path

import attrs
import yaml

from bench.table import Cell, Table
from kstats import arch as arches
from kstats.exporter import families as f
from kstats.exporter.exposition import Family, Rows, count_lines, page
from kstats.exporter.feed import About
from kstats.exporter.metrics import Metrics
from kstats.exporter.settings import Settings
from kstats.histogram import Histogram
from kstats.model import Exits, Place, Sample, VcpuTime
from kstats.vms.identity import Kind, Thread, Vm
from tests.fleet.engines import ROOT, Engine, prometheus, until, victoria_metrics
from tests.fleet.test_rules import rules

HOSTS = 200
CPUS, VMS, VCPUS, REASONS = 256, 100, 8, 15
INTERVAL = 15
ROUNDS = 9
RUNS = 3

RECORDING = ROOT / "deploy/prometheus/rules/kstats-recording.yml"

FLAGS = {
    "--no-cpus": Settings(cpus=False),
    "(default)": Settings(),
    "--time": Settings(time=True),
    "--durations": Settings(durations="category"),
    "--by vcpu": Settings(vcpus=True),
    "--by vcpu --time --durations": Settings(vcpus=True, time=True, durations="category"),
}
"""Options of the exporter, and what they mean."""

ISAS = {"vmx": "x64", "svm": "x64", "arm64": "arm64"}


@attrs.frozen
class Host:
    """A simulated host: its ISA, and what its exporter exports."""

    isa: str
    settings: Settings
    metrics: Metrics

    @classmethod
    def of(cls, isa: str, settings: Settings) -> Host:
        """Return a host that has counted nothing."""
        return cls(isa, settings, Metrics(settings))

    def work(self) -> None:
        """Count the exits of 15 busy seconds."""
        self.metrics.add(_sample(self.isa), time.monotonic())

    def families(self) -> Iterator[tuple[Family, Rows]]:
        """Yield the metrics."""
        yield from self.metrics.families()
        about = About(arch=ISAS[self.isa], isa=self.isa, kernel="6.12.0")
        yield f.BUILD_INFO, [f.BUILD_INFO.valued(1, *attrs.astuple(about))]
        yield f.UP, [f.UP.valued(1)]

    def series(self) -> int:
        """Return the number of series."""
        return sum(count_lines(*one) for one in self.families())


def _codes(isa: str) -> list[int]:
    """Return the codes of some reasons, of as many categories as possible."""
    by_category: dict[str, list[int]] = {}
    for code, reason in arches.isa(isa).reasons.items():
        by_category.setdefault(reason.category, []).append(code)
    rounds = zip_longest(*by_category.values())
    return [code for codes in rounds for code in codes if code is not None][:REASONS]


def _sample(isa: str) -> Sample:
    codes = _codes(isa)
    vms = [Vm(number + 1, 1, Kind.LIBVIRT, f"vm-{number:04}") for number in range(VMS)]
    threads = {
        vm.pid << 32 | vcpu: Thread(vcpu, vm.pid, vcpu, vm) for vm in vms for vcpu in range(VCPUS)
    }
    latency = Histogram.of([1000, 20_000, 3_000_000])
    return Sample(
        ISAS[isa],
        time.time(),
        float(INTERVAL),
        tuple(range(CPUS)),
        {cpu: random.randrange(10**5) for cpu in range(CPUS)},  # noqa: S311 - noise
        {
            (isa, code): {
                Place(number % CPUS, thread): Exits(random.randrange(2000), latency)  # noqa: S311
                for number, thread in enumerate(threads)
            }
            for code in codes
        },
        threads=threads,
        isa=isa,
        timed=True,
        vcpu_time=dict.fromkeys(threads, VcpuTime(10**10, 10**9, 10**9, 2 * 10**9, 10**9)),
    )


@contextmanager
def exporters(settings: Settings) -> Iterator[str]:
    """Serve the pages of a host of each ISA at /ISA; give the address."""
    hosts = [Host.of(isa, settings) for isa in ISAS]
    pages: dict[str, bytes] = {}
    stop = threading.Event()

    def work() -> None:
        while True:
            for host in hosts:
                host.work()
                pages[f"/{host.isa}"] = page(host.families(), openmetrics=False).encode()
            if stop.wait(INTERVAL):
                return

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):  # a scrape that took too long
                self.wfile.write(pages[self.path])

        def log_message(self, *_: object) -> None:
            pass

    worker = threading.Thread(target=work)
    worker.start()
    until("the first pages are there", lambda: len(pages) == len(ISAS))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            stop.set()
            server.shutdown()
            serving.join()
            worker.join()


def configuration(address: str) -> str:
    """Return a scrape configuration with one target for each host."""
    isas = list(ISAS)
    targets = [
        {
            "targets": [address],
            "labels": {
                "instance": f"host-{number:04}",
                "__metrics_path__": f"/{isas[number % len(isas)]}",
            },
        }
        for number in range(HOSTS)
    ]
    job = {"job_name": "kstats", "static_configs": targets}
    every = dict.fromkeys(("scrape_interval", "scrape_timeout"), f"{INTERVAL}s")
    return yaml.safe_dump({"global": every, "scrape_configs": [job]})


@contextmanager
def _prometheus(folder: Path) -> Iterator[Engine]:
    config = yaml.safe_load((folder / "scrape.yml").read_text())
    config["rule_files"] = [str(RECORDING)]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with prometheus(folder / "prometheus.yml", folder / "data") as engine:
        yield engine


@contextmanager
def _victoria(folder: Path) -> Iterator[Engine]:
    config = f"-promscrape.config={folder / 'scrape.yml'}"
    with victoria_metrics(folder / "data", config) as engine:
        yield engine


ENGINES: dict[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    "Prometheus": _prometheus,
    "VictoriaMetrics": _victoria,
}


def _expanded(name: str) -> str:
    """Return the expression of a recording rule without other rules."""
    expression: str = rules("record")[name]["expr"]
    return re.sub(r"\w+(?::\w+)+", lambda match: f"({_expanded(match[0])})", expression)


RULE = "isa_category:kvm_vm_exits_per_vcpu:rate5m"
QUERIES = {
    "architectures compared, all hosts": _expanded(RULE),
    "ten busiest hosts": "topk(10, sum by (instance) (rate(kvm_vm_exits_total[5m])))",
    "one host by category": (
        'sum by (category) (rate(kvm_vm_exits_total{instance="host-0007"}[5m]))'
    ),
    "one VM by reason": 'rate(kvm_vm_exits_total{instance="host-0007", vm="vm-0007"}[5m])',
}


FIGURES = (
    "series",
    "samples per second",
    "CPU, % of a core, with the rules in Prometheus",
    "resident memory, MiB",
    *(f"query: {name}, CPU ms" for name in QUERIES),
)


def series_table() -> Table:
    """Return the number of series of a host by the exporter's options."""
    rows: list[list[Cell]] = []
    for flags, settings in FLAGS.items():
        host = Host.of("svm", settings)
        host.work()
        rows.append([flags, host.series()])
    title = f"series of a host with {CPUS} CPUs, {VMS} VMs of {VCPUS} vCPUs, {REASONS} reasons each"
    return Table(title, ("kstats exporter", "series"), rows)


def tables() -> Iterator[Table]:
    """Measure the number of series, then each engine."""
    yield series_table()
    rows = [_measured(run) for run in ENGINES.values()]
    title = f"{HOSTS} hosts of kstats exporter --no-cpus, scraped every {INTERVAL} s in one engine"
    yield Table(title, ("", *ENGINES), list(zip(FIGURES, *rows, strict=True)))


def _measured(run: Callable[[Path], AbstractContextManager[Engine]]) -> list[Cell]:
    with tempfile.TemporaryDirectory() as folder, exporters(FLAGS["--no-cpus"]) as address:
        (Path(folder) / "scrape.yml").write_text(configuration(address))
        with run(Path(folder)) as engine:
            scraped = "count(count_over_time(up[10m]) >= %d) == " + str(HOSTS)
            until("every host was scraped", lambda: engine.query(scraped % 1))
            begin, cpu = time.monotonic(), _own(engine, "process_cpu_seconds_total")
            until("some rounds are over", lambda: engine.query(scraped % ROUNDS))
            took = time.monotonic() - begin
            share = 100 * (_own(engine, "process_cpu_seconds_total") - cpu) / took
            resident = _own(engine, "process_resident_memory_bytes") / 2**20
            series = float(engine.query("sum(scrape_samples_scraped)")[0]["value"][1])
            figures = [_milliseconds(engine, query) for query in QUERIES.values()]
            return [int(series), series / INTERVAL, share, resident, *figures]


def _own(engine: Engine, metric: str) -> float:
    """Return a metric of the engine itself."""
    text = engine.fetch("/metrics").decode()
    match = re.search(rf"^{metric} (\S+)$", text, re.MULTILINE)
    if not match:
        raise RuntimeError(f"{engine.url} has no {metric}")
    return float(match[1])


def _milliseconds(engine: Engine, query: str) -> float:
    """Return the CPU time that a query takes, which a busy machine does not change much."""
    begin = _own(engine, "process_cpu_seconds_total")
    for _ in range(RUNS):
        if not engine.query(query):
            raise RuntimeError(f"no result: {query}")
    return 1000 * (_own(engine, "process_cpu_seconds_total") - begin) / RUNS
