"""What ``kstats exporter`` costs: a scrape of 20,000 series, memory, and an idle exporter.

A made-up host (bench/busy_host.py) exports everything by vCPU. CPU time is that of this
thread, so a busy machine does not matter much.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.busy_host import sampler
from bench.table import TIMED, Budget, Table

RUNS = 15

ROOT = Path(__file__).parent.parent

SCRAPE_MS = 25.0
RESIDENT_MIB = 40.0
IDLE_SHARE = 0.2
"""Per cent of a core, at a scrape every 15 seconds."""

_EVERY = 15.0
_SCRAPES_OF_IDLE = 20

_RESIDENT = """
import sys
sys.path += sys.argv[1:]
from pathlib import Path
import kstats.cli.live, kstats.exporter.daemon  # what a live exporter has imported
from bench.busy_host import sampler
made = sampler()
for _ in range(5):
    made.sample()
    made.page(zipped=True)
print(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])
"""


def scrape() -> tuple[int, float, float]:
    """Return the series of a page, and the milliseconds of adding a sample and of the page."""
    made = sampler()
    adding, writing = list[float](), list[float]()
    for _ in range(RUNS):
        begun = time.thread_time()
        made.sample()
        sampled = time.thread_time()
        made.page(zipped=True)
        adding.append(sampled - begun)
        writing.append(time.thread_time() - sampled)
    series = sum(not line.startswith(b"#") for line in made.page().splitlines())
    return series, statistics.median(adding) * 1e3, statistics.median(writing) * 1e3


def resident() -> float:
    """Return the resident MiB of a process that has served these series.

    It runs as the packages run it: in the distribution's Python, without an environment.
    """
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
    command = ["/usr/bin/python3", "-I", "-c", _RESIDENT, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout) / 1024


_IDLE = """
from kstats.collector.live import Collector
from kstats.collector.percpu import Entries
from kstats.collector.threads import ExitsByThread
from kstats.exporter import daemon, log
from kstats.exporter.listen import listening
from kstats.exporter.live import Counted
from kstats.exporter.sampler import Sampler
from kstats.exporter.settings import Settings
from kstats.host import Host
from kstats.vms.registry import VmRegistry
from tests.collector import native
def feed():
    features = (Entries(), ExitsByThread())
    return Counted(Collector(native.target(), features, VmRegistry(Host())))
log.start()
daemon.run(Sampler(feed, Settings()), daemon.Serving(sockets=[listening("127.0.0.1:0")]))
"""


def idle() -> float:
    """Return the per cent of a core that an exporter takes on this host, scraped every 15 seconds.

    It is scraped every second for that: each scrape then takes a sample. In 15 seconds there is one
    more sample, which nobody asks for; it costs less than a scrape.
    """
    command = [sys.executable, "-c", _IDLE]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            address = _address(process)
            used = [_used(address) for _ in range(_SCRAPES_OF_IDLE)]
        finally:
            process.terminate()
    return 2 * (used[-1] - used[0]) / (_SCRAPES_OF_IDLE - 1) / _EVERY * 100


def _address(process: subprocess.Popen[str]) -> str:
    for line in process.stderr or ():
        _, found, address = line.partition("msg=listening address=")
        if found:
            return address.strip()
    raise RuntimeError("the exporter did not start")


def _used(address: str) -> float:
    """Scrape after a second; return the CPU seconds that the exporter has used by then."""
    time.sleep(1.05)
    with urllib.request.urlopen(f"http://{address}/metrics") as response:
        lines = response.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("process_cpu_s"))


def tables() -> Iterator[Table]:
    """Yield the table."""
    series, adding, writing = scrape()
    resident_mib, idle_share = resident(), idle()
    rows = [
        ("adding a sample", f"{adding:.1f} ms"),
        ("a page, compressed", f"{writing:.1f} ms"),
        ("both: a scrape", f"{adding + writing:.1f} ms"),
        ("resident", f"{resident_mib:.0f} MiB"),
        ("idle, on this host, a scrape every 15 s", f"{idle_share:.2f} % of a core"),
    ]
    scaled = (adding + writing) * 20_000 / series
    budgets = [
        Budget("exporter", "ms of CPU a scrape of 20,000 series", SCRAPE_MS, scaled),
        Budget("exporter", "MiB resident", RESIDENT_MIB, resident_mib),
        Budget("exporter", "% of a core, idle", IDLE_SHARE, idle_share),
    ]
    title = f"kstats exporter, {series} series"
    yield Table(title, ("what", "takes"), rows, budgets=budgets, spread=TIMED)
