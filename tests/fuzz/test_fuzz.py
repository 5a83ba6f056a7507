"""A few seconds of fuzzing, the same in each run; ``make fuzz`` goes on for longer."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.fuzz import targets

RUNS = 1500
"""Some ten seconds of CPU time."""


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seeds_are_read(name: str) -> None:
    seeds = list(targets.seeds(name))
    assert seeds
    for seed in seeds:
        targets.TARGETS[name](seed)


def test_a_fuzzer_that_sees_what_it_reaches_finds_nothing() -> None:
    words = ["--runs", str(RUNS), "--seed", "1", "--seconds", "600"]
    command = [sys.executable, "-m", "tests.fuzz", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    assert int(re.findall(r"Done (\d+) runs", done.stderr)[0]) >= RUNS
