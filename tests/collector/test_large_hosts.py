"""Programs for hosts with as many CPUs as Linux supports, loaded in this kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from kstats.collector.details import Detail
from kstats.collector.feature import Feature
from kstats.collector.latency import Latency
from kstats.collector.percpu import PER_CPU
from kstats.collector.slow_exits import SlowExits
from kstats.collector.target import Target
from kstats.collector.threads import ExitsByThread
from kstats.collector.vcpu_time import VcpuTimes
from kstats.loader import objects
from tests import trees
from tests.collector.native import load_as_if, target_of

pytestmark = pytest.mark.root

NUMBER = 8
"""Any offset within what the verifier lets a program read."""


def programs(target: Target) -> Iterator[tuple[Feature, ...]]:
    """Yield the program of ``kstats cpu``, and one of nearly everything."""
    yield PER_CPU
    kind = target.source.details[0].name
    exits = (ExitsByThread(), Detail.find(target, kind))
    yield (*exits, Latency(detail=kind), SlowExits(1), VcpuTimes())


@pytest.mark.parametrize("cpus", [512, 8192])
def test_maps_have_room_for_every_cpu(tmp_path: Path, cpus: int) -> None:
    host = trees.recorded(tmp_path, trees.cpus("0-3", f"0-{cpus - 1}"))
    target = attrs.evolve(target_of("svm"), host=host)
    for features in programs(target):
        plan = target.plan(features, attach=False)
        probe = next(one for one in plan.probes if not one.direct)
        numbers = dict.fromkeys(objects.words(plan, probe) - plan.numbers.keys(), NUMBER)
        with load_as_if(plan, probe, numbers) as loaded:
            counts = loaded.maps["counts"]
            assert counts.value_size >= (cpus + 1) * 8 * len(target.layout().codes)
            assert len(counts.read(bytes(4)) or b"") == counts.value_size
