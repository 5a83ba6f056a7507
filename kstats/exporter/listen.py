"""Sockets that listen, from ``--web.listen-address``."""

from __future__ import annotations

import os
import re
import socket

from kstats.errors import KstatsError, UsageError

_BACKLOG = 128

_BUFFER = 1 << 16
"""Bytes of the kernel's buffers of a connection, twice. By default they grow to megabytes, for each
client that takes nothing."""


def listening(address: str) -> socket.socket:
    """Return a socket that listens at ``HOST:PORT``, ``[IPV6]:PORT``, ``:PORT`` or ``fd://N``.

    Without a host it listens on all addresses. ``fd://3`` is the first socket that systemd passes.

    Raises:
        UsageError: The address is not valid.
        KstatsError: It cannot be listened at.
    """
    passed = re.fullmatch(r"fd://(\d{1,4})", address, re.ASCII)
    made = _passed(address, int(passed[1])) if passed else _bound(address)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):  # connections inherit them
        made.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
    return made


def _bound(address: str) -> socket.socket:
    found = re.fullmatch(r"(?:\[([^]]+)\]|([^:/]*)):(\d{1,5})", address, re.ASCII)
    if not found or int(found[3]) > 65535:
        raise UsageError(
            f"invalid address {address!r} for --web.listen-address",
            "write it like 127.0.0.1:9991, [::1]:9991, :9991 or fd://3",
        )
    host, port = found[1] or found[2], int(found[3])
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True
            )
        family, _, _, _, where = socket.getaddrinfo(host or "0.0.0.0", port)[0]  # noqa: S104 - asked
        return socket.create_server(where[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        unknown = isinstance(error, socket.gaierror) or not error.errno
        reason = error.strerror if unknown else os.strerror(error.errno or 0)
        raise KstatsError(
            f"cannot listen on {address}: {reason}",
            "choose another address with --web.listen-address; ss -ltnp shows who listens",
        ) from error


def _passed(address: str, number: int) -> socket.socket:
    hint = "systemd passes it to a service with a .socket unit"
    try:
        made = socket.socket(fileno=number)
    except OSError as error:
        raise KstatsError(f"{address} is not a socket: {error.strerror}", hint) from error
    if not made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        made.detach()
        raise KstatsError(f"{address} is a socket that does not listen", hint)
    return made
