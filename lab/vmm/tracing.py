"""Record events with ftrace, an oracle that does not use BPF.

See Documentation/trace/ftrace.rst. Not every kernel has histograms, so the text is counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from .errors import HostError, VmmError

TRACEFS: Final = Path("/sys/kernel/tracing")
_BUFFER_KB: Final = "8192"  # for each CPU
# As in "   CPU 0/KVM-130     [001] d....    26.000406: kvm_exit: TRAP: HSR_EC: 0x0001 (WFx), …".
_LINE: Final = re.compile(r".{16,}?-(\d+) +\[(\d+)\] \S+ +[\d.]+: (\w+): (.*)")


class Event(NamedTuple):
    """An event of a thread on a CPU."""

    tid: int
    cpu: int
    name: str
    text: str


class Trace:
    """A trace of KVM's events in an ftrace instance; as a context manager, it removes that."""

    def __init__(self, events: Sequence[str], tracefs: Path = TRACEFS) -> None:
        self._events = events
        self._instance = tracefs / "instances" / f"vmm-{os.getpid()}"

    def __enter__(self) -> Self:
        try:
            self._instance.mkdir()
            (self._instance / "buffer_size_kb").write_text(_BUFFER_KB, encoding="ascii")
            for event in self._events:
                (self._event(event) / "enable").write_text("1", encoding="ascii")
        except OSError as error:
            raise HostError(f"{error.filename}: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._instance.rmdir()

    def clear(self) -> None:
        """Drop the events recorded so far."""
        (self._instance / "trace").write_text("", encoding="ascii")

    def events(self) -> Iterator[Event]:
        """Yield the events since the last `clear`; raise `VmmError` if some were dropped."""
        for stats in self._instance.glob("per_cpu/cpu*/stats"):
            if not re.search(r"^overrun: 0$", stats.read_text(encoding="ascii"), re.MULTILINE):
                raise VmmError("the kernel's trace buffer is too small")
        for line in (self._instance / "trace").read_text(encoding="utf-8").splitlines():
            match = _LINE.match(line)
            if match:
                yield Event(int(match[1]), int(match[2]), match[3], match[4])

    def format(self, event: str) -> str:
        """Return the format of an event, which has the kernel's names of its numbers."""
        return (self._event(event) / "format").read_text(encoding="ascii")

    def _event(self, event: str) -> Path:
        return self._instance / "events" / "kvm" / event
