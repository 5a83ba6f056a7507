"""The exporter as a process: listens, samples, reacts to signals, until SIGTERM or ^C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Sequence

import attrs

from kstats import privileges
from kstats.errors import KstatsError
from kstats.exporter import exposition, log
from kstats.exporter.http import LONGEST_HEADER, Request, Response, Server
from kstats.exporter.sampler import Sampler
from kstats.exporter.textfile import Textfile
from kstats.exporter.web_config import WebConfig
from kstats.exporter.worker import Worker

_LEAST_SECONDS = 0.1

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
        path: The path of the metrics; it needs no escapes in HTML.
        textfile: The file to write after each sample; None for none.
        load_config: Return the web configuration: called at the start and on SIGHUP.
        notify: Report to the service manager, as sd_notify(3): ``READY=1`` once it counts and
            listens, ``WATCHDOG=1`` at least every 10 seconds, ``STOPPING=1``.
    """

    sockets: Sequence[socket.socket] = ()
    path: str = "/metrics"
    textfile: Textfile | None = None
    load_config: Callable[[], WebConfig] = WebConfig
    notify: Callable[[str], None] = lambda _: None


def run(sampler: Sampler, serving: Serving) -> None:
    """Sample and serve until SIGTERM or ^C.

    Raises:
        KstatsError: Counting cannot begin, or the web configuration is not valid.
    """
    asyncio.run(_Daemon(sampler, serving).run())


class _Daemon:
    def __init__(self, sampler: Sampler, serving: Serving) -> None:
        self._sampler = sampler
        self._serving = serving
        self._worker = Worker("sampler")
        self._server = Server(self._answer, serving.load_config())
        self._stop = asyncio.Event()

    async def run(self) -> None:
        # This thread, which talks to clients, never needs any. The worker has its own, and drops
        # them once it has attached its programs.
        textfile = self._serving.textfile
        privileges.drop(privileges.writes(str(textfile.path)) if textfile else ())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        working = asyncio.ensure_future(self._work())
        stopping = asyncio.ensure_future(self._stop.wait())
        # Whatever hangs, a signal ends it: nothing that counts outlives the process.
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self._serving.notify("STOPPING=1")
        self._server.close()
        stopping.cancel()
        if working.done():
            working.result()
        working.cancel()
        if self._serving.textfile:
            self._serving.textfile.remove()
        log.info("stopped")

    async def _work(self) -> None:
        """Sample and serve for ever."""
        await self._worker.run(self._tick)
        if self._serving.textfile:
            log.info("writing", path=self._serving.textfile.path)
        async with contextlib.AsyncExitStack() as servers:
            for listening in self._serving.sockets:
                connected = self._server.connected
                await servers.enter_async_context(
                    await asyncio.start_server(connected, sock=listening, limit=LONGEST_HEADER)
                )
                log.info("listening", address=address_of(listening))
            self._serving.notify("READY=1")
            while True:
                self._serving.notify("WATCHDOG=1")
                await asyncio.sleep(max(self._sampler.due - time.monotonic(), _LEAST_SECONDS))
                await self._worker.run(self._tick)

    def _tick(self) -> None:
        """Take a sample unless a scrape took one; write the text file."""
        if time.monotonic() >= self._sampler.due:
            self._sampler.sample()
        if self._serving.textfile:
            self._serving.textfile.write(self._sampler.page_of_host())

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
            page = _LANDING.format(path=path).encode()
            return Response(body=page, kind="text/html; charset=utf-8")
        return Response(404, b"Not Found\n")

    async def _metrics(self, request: Request) -> Response:
        openmetrics = request.accepts("accept", "application/openmetrics-text")
        zipped = request.accepts("accept-encoding", "gzip")
        body = await self._worker.run(
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
