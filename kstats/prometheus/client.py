"""Queries through the HTTP API of Prometheus (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

from __future__ import annotations

import base64
import http.client
import json
import math
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import attrs

from kstats.errors import RecordingError, UsageError
from kstats.escape import printable

TIMEOUT = 120.0
"""Seconds without an answer; Prometheus itself gives up after two minutes."""

MOST_BYTES = 1 << 29
"""The limit of an answer: a window of 20,000 series is a twentieth of it."""

_EXACT = {"dedup": "true", "partial_response": "false", "nocache": "1"}
"""Thanos: one replica, and all of its stores. VictoriaMetrics: no rounding. Ignored by others."""

_HINTS = {
    401: "give credentials: --bearer-token-file or --basic-auth-file",
    403: "these credentials may not query: ask for read access",
    404: "the address ends before /api/v1; Mimir's has the prefix /prometheus",
    422: "the engine refuses the query: select fewer hosts or a shorter range",
}


@attrs.frozen(eq=False)
class Access:
    """How to get access to an engine.

    Attributes:
        headers: What each request has, such as ``X-Scope-OrgID`` and ``Authorization``.
        ca_file: Certificates of the authorities to trust in place of the system's.
    """

    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    ca_file: str | None = None

    @classmethod
    def of(
        cls,
        headers: Mapping[str, str],
        bearer_token_file: str | None = None,
        basic_auth_file: str | None = None,
        ca_file: str | None = None,
    ) -> Self:
        """Return the access with the secrets of files: a token, or a line ``USER:PASSWORD``.

        Raises:
            UsageError: A file cannot be read.
        """
        wanted = dict(headers)
        if bearer_token_file is not None:
            wanted["Authorization"] = f"Bearer {_secret(bearer_token_file)}"
        if basic_auth_file is not None:
            encoded = base64.b64encode(_secret(basic_auth_file).encode()).decode()
            wanted["Authorization"] = f"Basic {encoded}"
        return cls(wanted, ca_file)


def _secret(path: str) -> str:
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"cannot read {path}: {why}", "name a readable file") from error
    if not secret or not (secret.isascii() and secret.isprintable()):
        raise UsageError(
            f"{path} is not one line of ASCII", "write the token, or USER:PASSWORD, into it"
        )
    return secret


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the credentials would go to another server."""

    def redirect_request(self, *_: object) -> None:
        """Return no request."""


@attrs.frozen
class Series:
    """A time series: its labels, and its values by time in seconds."""

    labels: Mapping[str, str]
    values: Mapping[int, float]


class Client:
    """A connection to one engine."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        """``url`` is the part before ``/api/v1``.

        Raises:
            UsageError: The file of authorities cannot be used.
        """
        self.url = url
        self._headers = (access or Access()).headers
        ca_file = access.ca_file if access else None
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"cannot use the certificates in {ca_file}: {error.strerror or error}",
                "give a file in PEM format",
            ) from error
        https = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(https, _NoRedirects)

    def at(self, query: str, time: int) -> list[Series]:
        """Return the series that ``query`` has at ``time``; a series has one value.

        Raises:
            RecordingError: There is no complete answer.
        """
        return self._ask("query", {"query": query, "time": str(time)}, "vector")

    def between(self, query: str, start: int, end: int, step: int) -> list[Series]:
        """Return the series of ``query`` from ``start`` to ``end``, both included.

        Raises:
            RecordingError: There is no complete answer.
        """
        times = {"start": str(start), "end": str(end), "step": str(step)}
        return self._ask("query_range", {"query": query, **times}, "matrix")

    def _ask(self, what: str, parameters: Mapping[str, str], kind: str) -> list[Series]:
        url = f"{self.url}/api/v1/{what}?{urlencode({**parameters, **_EXACT})}"
        answer = self._decoded(self._fetched(url))
        try:
            if answer["status"] != "success":
                raise self._error(f"{answer['error']}", _HINTS[422])
            if answer.get("warnings"):
                raise self._error(f"incomplete answer: {answer['warnings'][0]}", "ask again later")
            data = answer["data"]
            if data["resultType"] != kind:
                raise self._not_an_api()
            return [_series(item) for item in data["result"]]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise self._not_an_api() from error

    def _fetched(self, url: str) -> bytes:
        request = urllib.request.Request(url, headers=dict(self._headers))  # noqa: S310 - http(s)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                body: bytes = response.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from error
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        if len(body) > MOST_BYTES:
            raise self._error("the answer is too large", "select fewer hosts")
        return body

    def _decoded(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._not_an_api() from error

    def _refused(self, error: urllib.error.HTTPError) -> RecordingError:
        why = f"{error.code} {error.reason}"
        target = error.headers.get("Location", "")
        if 300 <= error.code < 400:
            return self._error(f"{why}: redirects to {target}", "use that address")
        return self._error(f"{why}{_complaint(error)}", _HINTS.get(error.code, ""))

    def _unreachable(self, reason: object) -> RecordingError:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return self._error(
                f"its certificate is not trusted: {reason.verify_message}",
                "--ca-file names the authority that issued it",
            )
        why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return self._error(f"no answer: {why}", "check host and port of the address")

    def _not_an_api(self) -> RecordingError:
        return self._error("this is not the HTTP API of Prometheus", _HINTS[404])

    def _error(self, why: str, hint: str) -> RecordingError:
        return RecordingError(self.url, printable(why, 300), hint)


def _complaint(error: urllib.error.HTTPError) -> str:
    """Return what the engine says about the query; empty if another server refused it."""
    try:
        answer = json.loads(error.read(1 << 16))
    except (ValueError, OSError, http.client.HTTPException):
        return ""
    return f": {answer['error']}" if isinstance(answer, dict) and "error" in answer else ""


def _series(item: Any) -> Series:
    pairs = item["values"] if "values" in item else [item["value"]]
    values = {round(time): float(value) for time, value in pairs}
    finite = {time: value for time, value in values.items() if math.isfinite(value)}
    return Series(dict(item["metric"]), finite)
