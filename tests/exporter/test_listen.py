"""Addresses to listen on."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from kstats.errors import KstatsError, UsageError
from kstats.exporter.daemon import address_of
from kstats.exporter.listen import listening


@pytest.mark.parametrize(
    ("address", "host"), [("127.0.0.1:0", "127.0.0.1"), ("localhost:0", None), (":0", None)]
)
def test_a_port_of_its_own(address: str, host: str | None) -> None:
    with closing(listening(address)) as made:
        port = made.getsockname()[1]
        assert address_of(made).endswith(f":{port}")
        assert host is None or address_of(made).startswith(f"{host}:")
        socket.create_connection(("localhost", port), timeout=60).close()


def test_a_port_in_use() -> None:
    with closing(listening("127.0.0.1:0")) as first:
        address = address_of(first)
        with pytest.raises(KstatsError) as caught:
            listening(address)
    assert str(caught.value) == f"cannot listen on {address}: Address already in use"
    assert "--web.listen-address" in caught.value.hint


@pytest.mark.parametrize(
    "address", ["", "9991", "localhost", "::1:9991", "127.0.0.1:65536", "x:-1", "fd://", "a/b:1"]
)
def test_invalid_addresses(address: str) -> None:
    with pytest.raises(UsageError, match="invalid address"):
        listening(address)


def test_a_socket_from_the_service_manager() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as theirs:
        port = theirs.getsockname()[1]
        with closing(listening(f"fd://{theirs.detach()}")) as passed:
            assert address_of(passed) == f"127.0.0.1:{port}"


def test_descriptors_that_are_no_sockets_to_listen_at() -> None:
    with pytest.raises(KstatsError, match="fd://9999 is not a socket"):
        listening("fd://9999")
    with closing(socket.socket()) as silent:
        with pytest.raises(KstatsError, match="does not listen"):
            listening(f"fd://{silent.fileno()}")
        assert silent.fileno() >= 0
        silent.getsockname()  # it is still open
