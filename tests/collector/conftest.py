"""Fixtures of tests that load programs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kstats.loader.process import LOADERS


@pytest.fixture(scope="module", params=LOADERS)
def loader(request: pytest.FixtureRequest) -> str:
    """Return a way to load programs."""
    return str(request.param)


@pytest.fixture
def _on_cpu_0() -> Iterator[None]:
    """Keeps this thread, and the threads and processes that it starts, on CPU 0."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    yield
    os.sched_setaffinity(0, allowed)
