"""``kstats exporter``: counters for Prometheus, of this host or of a recording."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from kstats import notify
from kstats.cli import options
from kstats.errors import UsageError
from kstats.views import details

if TYPE_CHECKING:
    from kstats.exporter.feed import Feed
    from kstats.exporter.settings import Settings

ADDRESS = "127.0.0.1:9991"

_MOST_VMS, _LONGEST_NAME, _TOP = 1000, 128, 10
_SPEEDS = 0.001, 1e6
_REASONS = 15
"""Exit reasons that a busy guest has."""
_LINES = 14
"""Series of a histogram."""
_SPANS = {"s": 1, "m": 60, "h": 3600}

_DESCRIPTION = f"""\
  kstats exporter                               serve http://{ADDRESS}/metrics
  kstats exporter --by vcpu --time              more series: exits and time of each vCPU
  kstats exporter --durations=category          histograms of how long exits take
  kstats exporter --input FILE --loop           replay a recording as if it were counted now
"""

_EPILOG = """\
docs/exporter.md explains each metric, and how many series the options make.

Logs go to standard error, in logfmt. SIGTERM ends it, SIGHUP reads the web configuration again.
Exit status: see kstats --help.
"""


@attrs.frozen(kw_only=True)
class ExporterOptions:
    """The options of ``kstats exporter``; ``keep_ended`` is in seconds."""

    listen: list[str] | None
    path: str
    config: str | None
    textfile: str | None
    by: str
    cpus: bool
    time: bool
    durations: str | None
    detail: str | None
    top: int
    source: str
    max_vms: int
    max_name: int
    keep_ended: float
    input: str | None
    speed: float
    loop: bool
    probe: str | None
    loader: str | None
    debug: bool

    @property
    def settings(self) -> Settings:
        """Return what to export."""
        from kstats.exporter.settings import Settings  # noqa: PLC0415 - help does not need it

        return Settings(
            cpus=self.cpus and self.source == "bpf",
            vms=self.by != "cpu",
            vcpus=self.by == "vcpu",
            time=self.time,
            durations=self.durations or "",
            detail=self.detail or "",
            top=self.top,
            kernel=self.source == "kernel",
            max_vms=self.max_vms,
            max_name=self.max_name,
            keep_ended=self.keep_ended,
        )


def parser() -> options.Parser:
    """Return the command line of ``kstats exporter``."""
    p = options.Parser.of("exporter", "", _DESCRIPTION, _EPILOG)
    _add_what(p)
    _add_web(p)
    _add_replay(p)
    return p


def _add_what(p: options.Parser) -> None:
    add = p.add_argument
    text = "count exits by cpu only, also by vm (default), or also by vcpu"
    add("--by", metavar="AXIS", type=_axis, default="vm", help=text)
    add("--no-cpus", dest="cpus", action="store_false", help="leave out the series of CPUs")
    text = "where each vCPU's time goes: guest, kernel, VMM, halted, waiting for a CPU"
    add("--time", action="store_true", help=text)
    text = "histograms of how long exits of a VM take, by category (default) or reason"
    add("--durations", nargs="?", const="category", metavar="BY", type=_durations, help=text)
    text = "exits by what they access: msr, io, mmio, page, cr, hypercall or sysreg"
    add("--detail", metavar="KIND", help=text)
    top = partial(options.times, what="--top", without=f"export {_TOP}")
    text = f"details of each VM with a series of their own (default {_TOP})"
    add("--top", metavar="N", type=top, default=_TOP, help=text)
    text = "what counts: BPF programs (default), or KVM itself, at no cost to the guests"
    add("--source", choices=("bpf", "kernel"), default="bpf", help=text)
    many = partial(options.times, what="--max-vms", without=f"export {_MOST_VMS}")
    text = f"VMs with series of their own (default {_MOST_VMS}); the rest is (others)"
    add("--max-vms", metavar="N", type=many, default=_MOST_VMS, help=text)
    long = partial(options.times, what="--max-name", without=f"allow {_LONGEST_NAME}")
    text = f"characters of a VM's name (default {_LONGEST_NAME})"
    add("--max-name", metavar="N", type=long, default=_LONGEST_NAME, help=text)
    text = "how long the series of a VM stay after its end: at least two scrapes (default 5m)"
    add("--keep-ended", metavar="TIME", type=_span, default=300.0, help=text)
    options.add_probe_arguments(p)


def _add_web(p: options.Parser) -> None:
    add = p.add_argument_group("where it is served").add_argument
    text = f"address to listen on (default {ADDRESS}); fd://3 is a socket from systemd; repeatable"
    add("--web.listen-address", dest="listen", metavar="ADDRESS", action="append", help=text)
    text = "path of the metrics (default /metrics)"
    add("--web.telemetry-path", dest="path", metavar="PATH", default="/metrics", help=text)
    text = "TLS, passwords and headers: a file as in Prometheus' exporter-toolkit"
    add("--web.config.file", dest="config", metavar="FILE", help=text)
    text = "write kstats.prom here for node_exporter's textfile collector, instead of listening"
    add("--textfile", metavar="DIR", help=text)


def _add_replay(p: options.Parser) -> None:
    add = p.add_argument_group("replay").add_argument
    add("--input", metavar="FILE", help="replay a recording instead of counting on this host")
    add("--speed", metavar="N", type=_speed, default=1.0, help="N times as fast (default 1)")
    add("--loop", action="store_true", help="begin again at the end of the recording")


def run(words: list[str]) -> int:
    """Run ``kstats exporter``; return the exit status."""
    wanted = parser().parse(words, ExporterOptions)
    if wanted.detail is not None:
        details.check(wanted.detail)
    if not re.fullmatch(r"/[\w./-]*", wanted.path, re.ASCII):
        raise UsageError(f"invalid path {wanted.path!r}", "write it like /metrics")
    from kstats.exporter import daemon, log, web_config  # noqa: PLC0415 - help does not need it
    from kstats.exporter.listen import listening  # noqa: PLC0415
    from kstats.exporter.sampler import Sampler  # noqa: PLC0415
    from kstats.exporter.textfile import Textfile  # noqa: PLC0415

    log.start()
    settings = wanted.settings
    addresses = wanted.listen or ([] if wanted.textfile else [ADDRESS])
    with ExitStack() as sockets:
        serving = daemon.Serving(
            sockets=[sockets.enter_context(listening(address)) for address in addresses],
            path=wanted.path,
            textfile=None if wanted.textfile is None else Textfile(Path(wanted.textfile)),
            load_config=lambda: web_config.load(wanted.config),
            notify=notify.send,
        )
        daemon.run(Sampler(lambda: _feed(wanted, settings), settings), serving)
    return 0


def _feed(wanted: ExporterOptions, settings: Settings) -> Feed:
    if wanted.input is None:
        from kstats.cli import live  # noqa: PLC0415 - recordings do not need it
        from kstats.exporter.textfile import NAME  # noqa: PLC0415

        writes = None if wanted.textfile is None else f"{wanted.textfile}/{NAME}"
        return live.exporter(settings, wanted.probe, wanted.loader, writes, debug=wanted.debug)
    from kstats.cli import replay  # noqa: PLC0415 - help does not need it
    from kstats.exporter.feed import Replay  # noqa: PLC0415

    feed = Replay(wanted.input, speed=wanted.speed, loop=wanted.loop)
    if lacking := replay.lacking(wanted.input, feed.counted, settings.requires):
        feed.close()
        raise lacking
    return feed


def _axis(text: str) -> str:
    axes = text.split(",")
    if len(axes) > 1 and "cpu" in axes and set(axes) <= {"cpu", "vm", "vcpu"}:
        raise _too_many(
            f"--by {text}", _cpus() * _cpus() * _REASONS, "--by vcpu, which also exports CPUs"
        )
    if text not in ("cpu", "vm", "vcpu"):
        raise UsageError(f"invalid axis {text!r} for --by", "use cpu, vm or vcpu")
    return text


def _durations(text: str) -> str:
    if "vcpu" in text.split(","):
        series = _cpus() * _REASONS * _LINES
        raise _too_many(f"--durations={text}", series, "--durations=category, which is by VM")
    if text not in ("category", "reason"):
        raise UsageError(f"invalid value {text!r} for --durations", "use category or reason")
    return text


def _too_many(option: str, series: int, instead: str) -> UsageError:
    return UsageError(
        f"{option} would make {series:,} series on this host, with one vCPU for each CPU",
        f"use {instead}; kstats exits shows it without a time series database",
    )


def _cpus() -> int:
    return os.cpu_count() or 1


def _speed(text: str) -> float:
    least, most = _SPEEDS
    if (
        not re.fullmatch(r"\d{1,7}(\.\d*)?|\.\d+", text, re.ASCII)
        or not least <= float(text) <= most
    ):
        raise UsageError(f"--speed {text!r} is not between {least} and {most:.0f}", "like 10")
    return float(text)


def _span(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([smh]?)", text, re.ASCII)
    if not found:
        raise UsageError(f"invalid time {text!r} for --keep-ended", "give a time like 90s or 5m")
    return float(found[1]) * _SPANS[found[2] or "s"]
