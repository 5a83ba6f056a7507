"""A thread that runs calls one after the other, and does not keep the process alive."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs calls in one thread, in their order.

    The executors of the standard library wait at the end of the process for a call that hangs:
    reading /proc of a process can. SIGTERM must end the exporter nevertheless.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what ``call`` returns, or raise what it raises, from the thread."""
        future: Future[T] = Future()
        self._calls.put((call, future))
        return await asyncio.wrap_future(future)

    def _run(self) -> None:
        while True:
            call, future = self._calls.get()
            if not future.set_running_or_notify_cancel():
                continue  # the client went away before its turn
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
                future.set_exception(error)
