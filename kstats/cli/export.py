"""``kstats export``: recordings in the formats of other programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import attrs

from kstats import recording
from kstats.cli import options, replay, session, sources, streams
from kstats.errors import RecordingError, UsageError

INTERVAL = 15.0
"""Seconds between points by default, as Prometheus usually scrapes."""

_OURS = frozenset({"vm", "reason", "category", "vcpu", "cpu", "class", "state", "le", "kind"})
"""Labels that kstats gives its own metrics."""

_DESCRIPTION = """\
  kstats export --input host.jsonl.zst -f openmetrics >host.om
  promtool tsdb create-blocks-from openmetrics host.om /var/lib/prometheus/data

  kstats record --all -o host.jsonl.zst
  kstats export --input host.jsonl.zst -f perfetto >host.pftrace

openmetrics has the metrics of kstats exporter, with the time of each sample: Prometheus imports
them as if it had scraped the host. The labels instance and job are the name of the host and kstats,
unless --label says otherwise.

perfetto has a track for each vCPU with its slow exits, which the recording must have, and counters
of exits by category: open it with https://ui.perfetto.dev, which reads files locally.
"""


def parser() -> options.Parser:
    """Return the command line of ``kstats export``."""
    p = options.Parser.of(
        "export", "--input FILE", _DESCRIPTION, "Exit status: see kstats --help.\n"
    )
    add = p.add_argument
    add("--input", metavar="FILE", help="the recording; - is standard input")
    p.add_format(FORMATS)
    text = "exits by cpu only, by VM and CPU (default), or also by vCPU"
    add("--by", choices=("cpu", "vm", "vcpu"), default="vm", help=text)
    add("--no-cpus", dest="cpus", action="store_false", help="leave out the series of CPUs")
    text = "add this label to every series; can be repeated"
    add("--label", metavar="LABEL", action="append", type=_label, default=[], help=text)
    interval = partial(options.seconds, what="--interval")
    text = f"seconds between points (default {INTERVAL:.0f}); shorter samples are merged"
    add("--interval", metavar="SECONDS", type=interval, default=INTERVAL, help=text)
    p.add_debug()
    return p


@attrs.frozen(kw_only=True)
class ExportOptions:
    """The options of ``kstats export``."""

    input: str | None
    format: str
    by: str
    cpus: bool
    label: list[tuple[str, str]]
    interval: float
    debug: bool


def run(words: list[str]) -> int:
    """Run ``kstats export``; return the exit status."""
    wanted = parser().parse(words, ExportOptions)
    if wanted.input is None:
        raise UsageError("no recording given", "name it: --input FILE")
    if wanted.format in _BINARY and sys.stdout.isatty():
        raise UsageError(f"{wanted.format} is not for a terminal", "write it to a file: >FILE")
    with recording.read(wanted.input) as source, streams.writing() as out:
        for part in FORMATS[wanted.format](source, wanted):
            out.buffer.write(part)
    return 0


def _openmetrics(source: recording.Recording, wanted: ExportOptions) -> Iterator[bytes]:
    from kstats.exporter.backfill import Backfill  # noqa: PLC0415 - help does not need it
    from kstats.exporter.feed import About  # noqa: PLC0415
    from kstats.exporter.settings import Settings  # noqa: PLC0415

    counted = source.header.counted
    settings = Settings(
        cpus=wanted.cpus,
        vms=wanted.by != "cpu",
        vcpus=wanted.by == "vcpu",
        time="vcpu_time" in counted and wanted.by != "cpu",
        durations="category" if "latency" in counted and wanted.by != "cpu" else "",
        keep_ended=2 * wanted.interval,
    )
    if lacking := replay.lacking(source.name, counted, settings.requires):
        raise lacking
    labels = {"instance": source.header.host.name, "job": "kstats", **dict(wanted.label)}
    backfill = Backfill(settings, About.of(source.header), labels.items())
    faults: list[RecordingError] = []
    for sample in recording.merged(sources.until_fault(source, faults), wanted.interval):
        backfill.add(sample)
    yield from (line.encode() for line in backfill.lines())
    session.print_errors([f"{source.name}: {source.tail}"] if source.tail else [])
    for fault in faults:
        raise fault


def _perfetto(source: recording.Recording, _: ExportOptions) -> Iterator[bytes]:
    from kstats.exports.perfetto import trace  # noqa: PLC0415 - help does not need it

    if lacking := replay.lacking(source.name, source.header.counted, ("slow",)):
        raise lacking
    yield from trace(source)


def _label(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"([a-zA-Z_][a-zA-Z0-9_]*)=(.+)", text, re.ASCII)
    if not match or match[1].startswith("__") or match[1] in _OURS:
        raise UsageError(f"invalid label {text!r}", "give it like instance=web1:9991")
    return match[1], match[2]


FORMATS: Mapping[str, Callable[[recording.Recording, ExportOptions], Iterator[bytes]]] = {
    "openmetrics": _openmetrics,
    "perfetto": _perfetto,
}
"""What a format makes of a recording, in parts."""

_BINARY = frozenset({"perfetto"})
