"""Fixtures of tests that load programs."""

from __future__ import annotations

import pytest

from kstats.loader.process import LOADERS


@pytest.fixture(scope="module", params=LOADERS)
def loader(request: pytest.FixtureRequest) -> str:
    """Return a way to load programs."""
    return str(request.param)
