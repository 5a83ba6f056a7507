"""Names, types and texts of every metric, as Prometheus' own tool judges them."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from kstats.arch.details import Access, Parts
from kstats.exporter import families
from kstats.exporter.exposition import Family, page
from kstats.exporter.metrics import Metrics
from kstats.exporter.sampler import Sampler
from kstats.exporter.settings import Settings
from kstats.histogram import Histogram
from kstats.model import Exits, Place, VcpuTime
from kstats.vms.identity import Vcpu
from tests.exporter.samples import HLT, IO, Guest, Now, sample
from tests.exporter.test_sampler import Scripted
from tests.fleet.engines import promtool

GUEST = Guest('we"ird\nname', exits={HLT: [3], IO: [4]})
(THREAD,) = GUEST.threads
TIMED = {Place(-1, THREAD): Exits(0, Histogram.of([900, 5000]))}
DETAILED = {Place(0, THREAD, Parts(Access.READ, 4, 0x3F8).detail): Exits(4)}

SETTINGS = {
    "time and durations": Settings(vcpus=True, time=True, durations="category"),
    "durations by reason": Settings(durations="reason"),
    "details": Settings(detail="io"),
    "kernel": Settings(kernel=True, vcpus=True, cpus=False),
    "CPUs": Settings(vms=False),
}


def made(settings: Settings, *, openmetrics: bool) -> str:
    """A page with every metric that the settings ask for."""
    metrics = Metrics(settings)
    one = sample(
        GUEST,
        exits={HLT: {**sample(GUEST).exits[HLT], **TIMED}, IO: DETAILED},
        detail=settings.detail,
        vcpu_time={THREAD: VcpuTime(1, 2, 3, 4, 5)},
        counters={Vcpu(100, 0, 1, 20): {"exits": 5, "halt_wait_ns": 10**9}},
    )
    metrics.add(one, 0)
    return page(metrics.families(), openmetrics=openmetrics)


@pytest.mark.fleet
@pytest.mark.parametrize("name", SETTINGS)
def test_promtool_finds_nothing_wrong(name: str) -> None:
    done = promtool("check", "metrics", input=made(SETTINGS[name], openmetrics=False))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.fleet
def test_promtool_finds_nothing_wrong_with_a_whole_page() -> None:
    sampler = Sampler(Scripted, Settings(), Now())
    done = promtool("check", "metrics", input=sampler.page().decode())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", SETTINGS)
def test_openmetrics_is_valid(name: str) -> None:
    found = list(text_string_to_metric_families(made(SETTINGS[name], openmetrics=True)))
    assert all(family.samples for family in found)


def test_every_metric_is_on_one_of_these_pages() -> None:
    every = {family.name for family in vars(families).values() if isinstance(family, Family)}
    every |= {family.name for family in families.DURATIONS.values()}
    sampler = Sampler(Scripted, Settings(), Now())
    texts = [made(settings, openmetrics=False) for settings in SETTINGS.values()]
    whole = "".join([*texts, sampler.page().decode()])
    assert every == {line.split()[2] for line in whole.splitlines() if line.startswith("# TYPE")}
