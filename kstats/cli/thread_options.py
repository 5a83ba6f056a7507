"""Options that select threads: those of kvmexit, kstats exits and kstats vcpu."""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

from kstats.cli import options
from kstats.cli.view_options import ViewOptions
from kstats.errors import UsageError
from kstats.filters import ThreadFilter


@attrs.frozen(kw_only=True)
class ThreadOptions(ViewOptions):
    """The options of a view of threads; ``alltids`` asks for one row per thread."""

    pid: int | None = None
    vcpu: int | None = None
    alltids: bool = False
    tid: int | None = None
    tids: tuple[int, ...] | None = None
    vm: str | None = None

    @property
    def threads(self) -> ThreadFilter:
        """Return the filter that selects them; it is false if it selects all."""
        pids = frozenset() if self.pid is None else frozenset({self.pid})
        tids = self.tids or (() if self.tid is None else (self.tid,))
        return ThreadFilter(pids, frozenset(tids), self.vcpu, self.vm)


def add_arguments(p: options.Parser, *, short: bool = False) -> None:
    """Add the options that select threads of any process; ``short`` adds kvmexit's letters."""

    def names(letter: str, name: str) -> tuple[str, ...]:
        return (letter, name) if short else (name,)

    add = p.add_argument
    add_pid(p)
    text = "only this vCPU of the process"
    add(*names("-v", "--vcpu"), metavar="VCPU", type=_number("vCPU number"), help=text)
    text = "each thread of the process on its own row"
    add(*names("-a", "--alltids"), action="store_true", help=text)
    add(*names("-t", "--tid"), metavar="TID", type=_number("thread ID"), help="only this thread")
    text = "only these threads, like 4001,4002"
    add(*names("-T", "--tids"), metavar="TIDS", type=_thread_ids, help=text)


def add_pid(p: options.Parser) -> None:
    """Add ``--pid``."""
    p.add_argument(
        "-p", "--pid", metavar="PID", type=_number("process ID"), help="only this process"
    )


def add_vm(p: options.Parser) -> None:
    """Add ``--vm``."""
    p.add_argument("--vm", metavar="VM", help="only this VM, by name, pid or UUID")


def _number(what: str) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
            raise UsageError(f"invalid {what} {text!r}", "give a decimal number")
        return int(text)

    return number


def _thread_ids(text: str) -> tuple[int, ...]:
    return tuple(map(_number("thread ID"), text.split(",")))
