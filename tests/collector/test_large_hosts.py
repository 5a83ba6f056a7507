"""Programs for hosts with more CPUs than this machine has."""

from __future__ import annotations

import attrs
import pytest

from kstats.collector.percpu import PER_CPU
from kstats.host import Host
from tests.collector.native import load_as_if, target_of
from tests.collector.sizes import made_up


@attrs.frozen
class Large(Host):
    """This machine with 8192 CPUs, the most that Linux supports."""

    def possible_cpus(self) -> tuple[int, ...]:
        """Return all of them."""
        return tuple(range(8192))


@pytest.mark.root
def test_8192_cpus_have_counters(loader: str) -> None:
    machine = attrs.evolve(target_of("svm"), host=Large())
    plan = machine.plan(PER_CPU)
    (probe,) = (probe for probe in plan.probes if probe.name == "raw-btf")
    with load_as_if(plan, probe, made_up(plan, probe), loader) as loaded:
        counts = loaded.maps["counts"]
        assert counts.value_size == 8192 * 8 * (3 + len(machine.layout().codes))
