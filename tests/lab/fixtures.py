"""Pytest fixtures for tests in booted hosts.

A conftest puts them to use with

    from tests.lab.fixtures import host, host_payload  # noqa: F401

A test that takes `host` is run in every host, or only in some with

    @pytest.mark.parametrize("host", ["svm", "vmx"], indirect=True)

Pytest orders the tests by host: each is booted once, and powered off before the next one is booted,
because an idle Bochs is as busy as any. KSTATS_TEST_HOSTS="svm arm64" restricts the hosts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.hosts import RECIPES, Host, Recipe, boot, find

Payload = Callable[[Recipe], Path | None]


def names() -> list[str]:
    """Return the names of the hosts to test in: KSTATS_TEST_HOSTS, or all."""
    return os.environ.get("KSTATS_TEST_HOSTS", "").split() or [recipe.name for recipe in RECIPES]


@pytest.fixture(scope="session")
def host_payload() -> Payload:
    """What a host finds in /payload: nothing. Override it to say more."""
    return lambda _recipe: None


@pytest.fixture(scope="session", params=names())
def host(request: pytest.FixtureRequest, host_payload: Payload) -> Iterator[Host]:
    """A booted host; `HostLost` from any of its methods says that the host failed, not the test."""
    recipe = find(request.param)
    with boot(recipe, host_payload(recipe)) as booted:
        yield booted
