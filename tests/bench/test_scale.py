"""The made-up hosts are as large as the benchmark says, and its commands exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import scale
from bench.large_host import LargeHost

SMALL = LargeHost(8, 16)


def test_each_vcpu_has_120_counters() -> None:
    (made,) = SMALL.samples(1)
    assert sum(map(len, made.exits.values())) == 120 * 16
    assert {place.cpu for places in made.exits.values() for place in places} == set(range(8))
    assert len(made.threads) == 16


@pytest.mark.parametrize("what", scale.RECORDINGS)
def test_what_a_command_costs_is_measured(what: str, tmp_path: Path) -> None:
    scale.write(tmp_path / "x.jsonl.zst", scale.ALONE, what)
    cost = scale.run(scale.COMMANDS[what][0], tmp_path / "x.jsonl.zst")
    assert cost.seconds > 0
    assert 5 < cost.mebibytes < 200


def test_linear_costs_have_the_exponent_1() -> None:
    assert scale.exponent([host.vcpus / 100 for host in scale.HOSTS]) == pytest.approx(1)
    assert scale.exponent([host.vcpus**2 for host in scale.HOSTS]) == pytest.approx(2)
