"""The HTTP server and hostile clients: real connections, over the loopback interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from kstats.exporter import http
from kstats.exporter.http import BadRequestError, Request, Response, Server, parse
from kstats.exporter.listen import listening
from kstats.exporter.web_config import WebConfig

SECONDS = 300
"""Until a test counts as hung."""

HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = bytes(range(256)) * (1 << 14)
"""A page of 4 MiB: more than the buffers of a socket hold."""


async def answer(request: Request) -> Response:
    if request.path == "/big":
        return Response(body=BIG)
    if request.path == "/bug":
        raise ZeroDivisionError
    return Response(body=f"{request.method} {request.path}\n".encode())


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, int]]:
    """Give a server and its port."""
    server = Server(answer, WebConfig())
    listens = listening("127.0.0.1:0")
    async with await asyncio.start_server(
        server.connected, sock=listens, limit=http.LONGEST_HEADER
    ):
        yield server, listens.getsockname()[1]
        server.close()


def in_loop(test: Callable[[Server, int], Awaitable[None]]) -> None:
    """Run a test with a server; fail if it hangs."""

    async def run() -> None:
        async with asyncio.timeout(SECONDS), serving() as (server, port):
            await test(server, port)

    asyncio.run(run())


async def ask(port: int, request: bytes) -> bytes:
    """Send bytes; return all that comes back until the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionError):  # it may end the connection before it has read everything
        writer.write(request)
        await writer.drain()
    found = await reader.read(-1)
    writer.close()
    return found


def once(path: str, *, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (once("/x"), 200),
        (once("/x?y=z"), 200),
        (b"GET /x HTTP/1.0\r\n\r\n", 200),
        (once("/x", method="POST"), 405),
        (b"GET /x HTTP/2.0\r\n\r\n", 400),
        (b"GET  /x HTTP/1.1\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\n: no name\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n", 431),
        (b"GET /x HTTP/1.1\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", 431),
        (b"x" * 1_000_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (once("/bug"), 503),
    ],
)
def test_requests_and_what_are_none(request_: bytes, status: int) -> None:
    async def test(_: Server, port: int) -> None:
        found = await ask(port, request_)
        assert found.startswith(f"HTTP/1.1 {status} ".encode())

    in_loop(test)


def test_a_connection_serves_several_requests() -> None:
    async def test(_: Server, port: int) -> None:
        found = await ask(port, HEAD * 2 + once("/last"))
        assert found.count(b"HTTP/1.1 200 OK") == 3
        assert found.endswith(b"GET /last\n")

    in_loop(test)


def test_head_has_no_body() -> None:
    async def test(_: Server, port: int) -> None:
        head, body = (await ask(port, once("/big", method="HEAD"))).split(b"\r\n\r\n")
        assert f"Content-Length: {len(BIG)}".encode() in head
        assert body == b""

    in_loop(test)


def test_a_slow_client_gets_all_of_a_page() -> None:
    async def test(_: Server, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        writer.write(once("/big"))
        await reader.readuntil(b"\r\n\r\n")
        got = bytearray()
        while piece := await reader.read(50_000):
            got += piece
        assert got == BIG
        writer.close()

    in_loop(test)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /metrics HTTP/1.1\r\nX: ", once("/big")],
    ids=["silent", "slowloris", "takes nothing"],
)
def test_a_thousand_connections_keep_nobody_out(sent: bytes) -> None:
    """Those that wait longest make room, and the number of connections is bounded."""

    async def test(server: Server, port: int) -> None:
        clients = []
        for number in range(1000):
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            clients.append(writer)
            writer.write(sent)
            if number % 100 == 0:
                assert (await ask(port, once("/x"))).endswith(b"GET /x\n")
            assert len(server) <= http.MOST_CONNECTIONS
        assert (await ask(port, once("/x"))).endswith(b"GET /x\n")
        for writer in clients:
            writer.transport.abort()

    in_loop(test)


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\nX: "])
def test_who_sends_no_whole_request_is_disconnected(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http, "HEADER_SECONDS", 0.01)

    async def test(server: Server, port: int) -> None:
        assert await ask(port, sent) == b""
        assert len(server) == 0

    in_loop(test)


def test_who_does_not_take_the_response_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "RESPONSE_SECONDS", 0.01)

    async def run() -> None:
        serving_it: asyncio.Future[asyncio.Task[None] | None] = asyncio.Future()

        async def answer_once(_: Request) -> Response:
            serving_it.set_result(asyncio.current_task())
            return Response(body=BIG)

        server = Server(answer_once, WebConfig())
        listens = listening("127.0.0.1:0")
        async with await asyncio.start_server(server.connected, sock=listens):
            _, writer = await asyncio.open_connection(*listens.getsockname(), limit=1024)
            writer.write(HEAD)
            task = await serving_it
            assert task
            await asyncio.wait({task})
            assert len(server) == 0
            writer.transport.abort()

    asyncio.run(asyncio.wait_for(run(), SECONDS))


@pytest.mark.parametrize(
    ("accept", "kind", "accepted"),
    [
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "text/plain", True),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", True),
        ("text/plain", "application/openmetrics-text", False),
        ("gzip;q=0, identity", "gzip", False),
        ("gzip;q=0.0", "gzip", False),
        ("deflate, gzip;q=0.5", "gzip", True),
        ("GZIP", "gzip", True),
        ("", "gzip", False),
    ],
)
def test_what_a_client_accepts(accept: str, kind: str, accepted: bool) -> None:  # noqa: FBT001
    request = parse(f"GET / HTTP/1.1\r\nAccept: {accept}\r\n\r\n".encode())
    assert request.accepts("accept", kind) is accepted


def test_a_request_keeps_the_connection_unless_it_says_otherwise() -> None:
    kept = {
        b"GET / HTTP/1.1\r\n\r\n": True,
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n": False,
        b"GET / HTTP/1.0\r\n\r\n": False,
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n": True,
    }
    assert {head: parse(head).keep for head in kept} == kept


def test_parse_never_fails_in_another_way() -> None:
    for text in (b"\xff\xfe\r\n\r\n", b"GET / HTTP/1.1\r\n\xff: \xfe\r\n\r\n", b"\r\n" * 9):
        with suppress(BadRequestError):
            parse(text)
