"""Addresses of hosts in Prometheus, as people write them."""

from __future__ import annotations

import pytest

from kstats.errors import UsageError
from kstats.prometheus.address import EXAMPLE, Address

NOON = 1_769_860_800.0
"""2026-01-31T12:00:00Z."""


def test_an_hour_has_60_steps() -> None:
    address = Address.parse(EXAMPLE, now=NOON + 59)
    assert address.url == "http://localhost:9090"
    assert address.label == "host:9991"
    assert (address.start, address.end, address.step) == (NOON - 3600, NOON, 60)


@pytest.mark.parametrize(
    ("length", "step"), [("1m", 15), ("15m", 15), ("16m", 30), ("6h", 360), ("7d", 10080)]
)
def test_steps_are_multiples_of_the_usual_scrape_interval(length: str, step: int) -> None:
    address = Address.parse(f"prom+https://h/p/?match={{a=~'b+c'}}&range={length}", now=NOON)
    assert (address.url, address.step) == ("https://h/p", step)
    assert address.match == address.label == "{a=~'b+c'}"


@pytest.mark.parametrize(
    "end", ["1769860800", "2026-01-31T12:00:00Z", "2026-01-31T13:00:00%2B01:00"]
)
def test_the_end_of_a_range(end: str) -> None:
    address = Address.parse(f"prom+http://h?match={{x='%26'}}&range=10m&step=30s&end={end}")
    assert (address.start, address.end, address.step) == (NOON - 600, NOON, 30)
    assert address.match == "{x='&'}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("prom+http://?match={}", "invalid address"),
        ("prom+http://user:secret@h?match={}", "must not contain a password"),
        ("prom+http://h", "no hosts are selected"),
        ("prom+http://h?match=up", "no hosts are selected"),
        ("prom+http://h?match={}&range=1", "invalid range '1'"),
        ("prom+http://h?match={}&step=0s", "invalid step '0s'"),
        ("prom+http://h?match={}&range=10s", "shorter than a step"),
        ("prom+http://h?match={}&end=noon", "invalid end 'noon'"),
        ("prom+http://h?match={}&start=0", "unknown parameter 'start'"),
        ("prom+http://[::1?match={}", "invalid address"),
        ("prom+http://h:port?match={}", "invalid address"),
    ],
)
def test_invalid_addresses(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        Address.parse(text, now=NOON)
    assert caught.value.hint
    assert "secret" not in str(caught.value)
