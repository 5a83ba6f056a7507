"""The exporter as a process: listens, samples, reacts to signals, until SIGTERM or ^C."""

from __future__ import annotations

import asyncio
import contextlib
import html
import signal
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import attrs

from kstats.errors import KstatsError
from kstats.exporter import exposition, log
from kstats.exporter.http import LONGEST_HEADER, Request, Response, Server
from kstats.exporter.sampler import UNASKED, Sampler
from kstats.exporter.web_config import WebConfig

T = TypeVar("T")

_LANDING = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>kstats exporter</title></head>
<body><h1>kstats exporter</h1>
<p><a href="{path}">Metrics</a>: VM exits of this host, for Prometheus.</p></body></html>
"""


@attrs.frozen(kw_only=True)
class Serving:
    """How metrics are published.

    Attributes:
        sockets: Sockets that listen.
        path: The path of the metrics.
        textfile: The file to write after each sample; None for none.
        load_config: Return the web configuration: called at the start and on SIGHUP.
        notify: Tell the service manager: see sd_notify(3).
    """

    sockets: Sequence[socket.socket] = ()
    path: str = "/metrics"
    textfile: Path | None = None
    load_config: Callable[[], WebConfig] = WebConfig
    notify: Callable[[str], None] = lambda _: None


def run(sampler: Sampler, serving: Serving) -> None:
    """Sample and serve until SIGTERM or ^C.

    Raises:
        KstatsError: Counting cannot begin, or the web configuration is not valid.
    """
    with ThreadPoolExecutor(1, "sampler") as worker, contextlib.closing(sampler):
        asyncio.run(_Daemon(sampler, serving, worker).run())


class _Daemon:
    def __init__(self, sampler: Sampler, serving: Serving, worker: ThreadPoolExecutor) -> None:
        self._sampler = sampler
        self._serving = serving
        self._worker = worker
        self._server = Server(self._answer, serving.load_config())
        self._stop = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        await self._in_worker(self._sampler.sample)
        async with contextlib.AsyncExitStack() as servers:
            for listening in self._serving.sockets:
                connected = self._server.connected
                await servers.enter_async_context(
                    await asyncio.start_server(connected, sock=listening, limit=LONGEST_HEADER)
                )
                log.info("listening", address=address_of(listening))
            self._serving.notify("READY=1")
            await self._publish()
            while not await self._stopped(self._sampler.last + UNASKED - loop.time()):
                if loop.time() - self._sampler.last >= UNASKED:
                    await self._in_worker(self._sampler.sample)
                    await self._publish()
                self._serving.notify("WATCHDOG=1")
            self._serving.notify("STOPPING=1")
            log.info("stopping")
            self._server.close()

    async def _in_worker(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    async def _stopped(self, seconds: float) -> bool:
        """Wait; return whether a signal to stop came."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), max(seconds, 0))
        return self._stop.is_set()

    async def _publish(self) -> None:
        path = self._serving.textfile
        if path is None:
            return

    def _reload(self) -> None:
        try:
            self._server.config = self._serving.load_config()
        except KstatsError as error:
            log.error("web configuration not reloaded", reason=str(error), hint=error.hint)
        else:
            log.info("web configuration reloaded")

    async def _answer(self, request: Request) -> Response:
        path = self._serving.path
        if request.path == path:
            return await self._metrics(request)
        if request.path == "/-/healthy":
            return Response(body=b"kstats exporter is healthy.\n")
        if request.path == "/-/ready":
            if self._sampler.is_counting:
                return Response(body=b"kstats exporter is ready.\n")
            return Response(503, b"kstats exporter cannot count: see its log.\n")
        if request.path == "/":
            page = _LANDING.format(path=html.escape(path)).encode()
            return Response(body=page, kind="text/html; charset=utf-8")
        return Response(404, b"Not Found\n")

    async def _metrics(self, request: Request) -> Response:
        openmetrics = request.accepts("accept", "application/openmetrics-text")
        zipped = request.accepts("accept-encoding", "gzip")
        body = await self._in_worker(
            lambda: self._sampler.page(openmetrics=openmetrics, zipped=zipped)
        )
        kind = exposition.OPENMETRICS if openmetrics else exposition.TEXT
        headers = {"Vary": "Accept, Accept-Encoding"}
        if zipped:
            headers["Content-Encoding"] = "gzip"
        return Response(200, body, kind, headers)


def address_of(listening: socket.socket) -> str:
    """Return where a socket listens, like ``127.0.0.1:9991``, ``[::1]:9991`` or a path."""
    name = listening.getsockname()
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(name)
