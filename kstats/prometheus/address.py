"""The address of hosts in Prometheus, as the command line has it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Self
from urllib.parse import unquote, urlsplit

import attrs

from kstats.errors import UsageError

SCHEME = "prom+"
EXAMPLE = 'prom+http://localhost:9090?match={instance="host:9991"}&range=1h'

FEWEST_SECONDS = 15
"""The default step is a multiple of this, Prometheus' usual scrape interval."""

STEPS = 60
"""A range has about this many steps by default: enough for percentiles."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PARAMETERS = ("match", "range", "step", "end")


@attrs.frozen
class Address:
    """Which hosts to read from which engine, and when.

    Attributes:
        url: The part of the URL before ``/api/v1``.
        match: Label matchers in braces, as in PromQL.
        start: Seconds since the epoch, a multiple of ``step``.
        end: The same; the last step.
        step: The length of a sample in seconds.
    """

    url: str
    match: str
    start: int
    end: int
    step: int

    @classmethod
    def parse(cls, text: str, now: float | None = None) -> Self:
        """Return the address in ``prom+http://HOST:PORT/PREFIX?match={…}&range=1h``.

        ``step`` and ``end`` are optional: the length of a sample, and the end of the range (``now``
        if not given) as RFC 3339 or in seconds since the epoch.

        Raises:
            UsageError: It is invalid; the hint has an example.
        """
        url, _, query = text.removeprefix(SCHEME).partition("?")
        _check(url)
        given = dict(_parameters(query))
        match = given.get("match", "")
        if not (match.startswith("{") and match.endswith("}")):
            raise UsageError(
                f"{url}: no hosts are selected", 'add label matchers: match={instance="host:9991"}'
            )
        length = _seconds("range", given.get("range", "1h"))
        rounded = -(-length // (STEPS * FEWEST_SECONDS)) * FEWEST_SECONDS
        step = _seconds("step", given["step"]) if "step" in given else rounded
        moment = _moment(given["end"]) if "end" in given else time.time() if now is None else now
        end = int(moment // step * step)
        if length < step:
            raise UsageError(f"{url}: the range is shorter than a step", "give a longer range")
        return cls(url.rstrip("/"), match, end - length // step * step, end, step)

    @property
    def label(self) -> str:
        """A short name: the value of ``instance`` if it is matched, else all matchers."""
        instance = re.search(r'\binstance="([^"]+)"', self.match)
        return instance[1] if instance else self.match


def _check(url: str) -> None:
    """Raise UsageError if a URL is not the address of a server."""
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise UsageError(
            "an address must not contain a password, which other users could see",
            "use --basic-auth-file or --bearer-token-file",
        )
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise UsageError(f"invalid address {SCHEME}{url}", f"write it like '{EXAMPLE}'")


def _parameters(query: str) -> list[tuple[str, str]]:
    # PromQL has + in regular expressions: only %XX is decoded.
    pairs = [part.partition("=") for part in query.split("&") if part]
    for name, _, _ in pairs:
        if name not in _PARAMETERS:
            raise UsageError(
                f"unknown parameter {name!r} of an address",
                f"parameters: {', '.join(_PARAMETERS)}; write & within one as %26",
            )
    return [(name, unquote(value)) for name, _, value in pairs]


def _seconds(name: str, text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text, re.ASCII)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not seconds:
        raise UsageError(f"invalid {name} {text!r}", "give a number and a unit, like 15s, 1h or 7d")
    return seconds


def _moment(text: str) -> float:
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text, re.ASCII):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"invalid end {text!r}", "give a time like 2026-01-31T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
