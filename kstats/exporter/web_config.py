"""The web configuration: TLS, passwords and headers of the HTTP server."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import attrs

from kstats.errors import UsageError


@attrs.frozen(eq=False)
class WebConfig:
    """How clients may connect.

    Attributes:
        headers: Headers of every response.
        guarded: Whether :meth:`allows` has anything to check.
    """

    headers: Mapping[str, str] = attrs.field(factory=dict)
    guarded: bool = False

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the context of new connections; None for plain HTTP."""
        return None

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request may be answered; the names of its headers are in lower case.

        It is called in a thread of its own: it may take as long as checking a password does.
        """
        del headers
        return True


def load(path: str | None) -> WebConfig:
    """Return the configuration in a file; without a file, HTTP for everyone.

    Raises:
        UsageError: The file is not valid, or cannot be read.
    """
    if path is not None:
        raise UsageError(f"{path}: web configuration files are not supported yet", "leave it out")
    return WebConfig()
