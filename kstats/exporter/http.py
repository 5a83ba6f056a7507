"""The part of HTTP/1.1 that scrapes need: GET and HEAD without a body.

Requests come from anyone who reaches the port, so everything about them is bounded: the length of
their header, the time until it is complete, the time to take the response, and how many
connections there are. A connection beyond that number ends the one that has waited longest for a
request: idle clients cannot keep others out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import attrs

from kstats.exporter import log
from kstats.exporter.web_config import WebConfig

MOST_CONNECTIONS = 200
LONGEST_HEADER = 8192
MOST_HEADERS = 64

HEADER_SECONDS = 10.0
"""Until the header of a request is complete, and the TLS handshake."""

IDLE_SECONDS = 120.0
"""Until another request begins on the same connection; Prometheus scrapes each minute or faster."""

RESPONSE_SECONDS = 30.0
"""Until the client has taken the response."""

_CHUNK = 1 << 15
_LINGER_SECONDS = 1.0
_LINGER_READS = 64

_REASONS: Mapping[int, str] = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@attrs.frozen
class Request:
    """A request; the names of ``headers`` are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    keep: bool

    def accepts(self, name: str, kind: str) -> bool:
        """Return whether a header lists ``kind``, without a quality of zero."""
        for item in self.headers.get(name, "").lower().split(","):
            value, *parameters = (part.strip() for part in item.split(";"))
            if value == kind:
                return not any(p.startswith("q=0") and not p.strip("q=0.") for p in parameters)
        return False


@attrs.frozen
class Response:
    """A response."""

    status: int = 200
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = attrs.field(factory=dict)


class BadRequestError(Exception):
    """What a client sent is not a request that we answer; ``status`` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(_REASONS[status])
        self.status = status


def parse(head: bytes) -> Request:
    """Return the request with this header, which ends in an empty line.

    Raises:
        BadRequestError: It is malformed, has a body, or is neither GET nor HEAD.
    """
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequestError(400)
    if len(lines) > MOST_HEADERS:
        raise BadRequestError(431)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400)
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    method, target, version = words
    if method not in ("GET", "HEAD"):
        raise BadRequestError(405)
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise BadRequestError(400)
    connection = headers.get("connection", "").lower()
    keep = connection != "close" if version == "HTTP/1.1" else connection == "keep-alive"
    return Request(method, target.partition("?")[0], headers, keep)


class Server:
    """Serves what ``answer`` returns to clients that ``config`` allows.

    Attributes:
        config: The web configuration; a new one holds for new connections and requests.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Response]], config: WebConfig) -> None:
        self.config = config
        self._answer = answer
        # In the order of their last requests, the one that waits longest first.
        self._connections: dict[asyncio.Task[None], None] = {}
        self._checks = asyncio.Semaphore(2)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until it ends; the callback of :func:`asyncio.start_server`."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("not in a task")
        if len(self._connections) >= MOST_CONNECTIONS:
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.cancel()
        self._connections[task] = None
        writer.transport.set_write_buffer_limits(0)  # drain() waits until all is sent
        # asyncio's own: the peer went away, sent what is not TLS, or this server ends it.
        with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.CancelledError):
            await self._serve(task, reader, writer)
        self._connections.pop(task, None)
        writer.transport.abort()

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._connections)

    def close(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()

    async def _serve(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if context := self.config.ssl_context():
            await writer.start_tls(context, ssl_handshake_timeout=HEADER_SECONDS)
            writer.transport.set_write_buffer_limits(0)
        seconds = HEADER_SECONDS
        keep = True
        while keep:
            try:
                async with asyncio.timeout(seconds):
                    request = parse(await reader.readuntil(b"\r\n\r\n"))
            except asyncio.LimitOverrunError:
                await self._refuse(reader, writer, 431)
                return
            except BadRequestError as error:
                await self._refuse(reader, writer, error.status)
                return
            self._connections[task] = self._connections.pop(task, None)
            response = await self._checked(request)
            keep = request.keep
            await self._respond(writer, response, keep=keep, head=request.method == "HEAD")
            seconds = IDLE_SECONDS
        await _end(writer)

    async def _refuse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int
    ) -> None:
        response = Response(status, f"{_REASONS[status]}\n".encode())
        await self._respond(writer, response, keep=False)
        if writer.can_write_eof():
            writer.write_eof()
        # To close a connection with unread data would reset it, and the response might be dropped.
        async with asyncio.timeout(_LINGER_SECONDS):
            for _ in range(_LINGER_READS):
                if not await reader.read(LONGEST_HEADER):
                    break

    async def _checked(self, request: Request) -> Response:
        config = self.config
        if config.guarded:
            async with self._checks:
                allowed = await asyncio.to_thread(config.allows, request.headers)
            if not allowed:
                return Response(
                    401, b"Unauthorized\n", headers={"WWW-Authenticate": 'Basic realm="kstats"'}
                )
        try:
            return await self._answer(request)
        except Exception:  # noqa: BLE001 - a bug must not end the service; its traceback is logged
            log.LOG.exception("cannot answer a request")
            return Response(503, b"Service Unavailable\n")

    async def _respond(
        self, writer: asyncio.StreamWriter, response: Response, *, keep: bool, head: bool = False
    ) -> None:
        headers = {
            "Content-Type": response.kind,
            "Content-Length": str(len(response.body)),
            "Connection": "keep-alive" if keep else "close",
            **response.headers,
            **self.config.headers,
        }
        lines = [f"HTTP/1.1 {response.status} {_REASONS[response.status]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        async with asyncio.timeout(RESPONSE_SECONDS):
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            body = memoryview(b"" if head else response.body)
            # In pieces: what a slow client has not taken is in memory once, not once for each.
            for at in range(0, len(body), _CHUNK):
                writer.write(body[at : at + _CHUNK])
                await writer.drain()


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close a connection, with TLS in order."""
    async with asyncio.timeout(_LINGER_SECONDS):
        writer.close()
        await writer.wait_closed()
