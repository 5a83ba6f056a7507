"""``kstats report``: a page of charts of recordings, in one file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from kstats import outfile
from kstats.cli import options, session, sources, streams
from kstats.cpunames import readable
from kstats.errors import KstatsError, MissingLibraryError, UsageError
from kstats.escape import printable
from kstats.recording.header import Header

STDOUT = "-"

_DESCRIPTION = """\
The page says in words what matters and shows exits over time, by CPU, VM and reason; details,
latencies, vCPU time and slow exits if they were recorded; and the comparison of several recordings.
It is one HTML file that needs no network. The pictures show values under the pointer or the
keyboard's cursor, and zoom.

  kstats report host.jsonl.zst                            writes report.html
  kstats report before.jsonl.zst after.jsonl.zst -o ticket.html
  kstats report live --count 60                           this host, the next minute
"""

_EPILOG = """\
Time is drawn in at most 512 parts and CPUs in at most 256 rows, however long a recording is. Each
part shows its mean and its busiest sample.
"""


def parser() -> options.Parser:
    """Return the command line of ``kstats report``."""
    p = options.Parser.of("report", "SOURCE…", _DESCRIPTION, _EPILOG)
    p.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="report.html",
        help="write the page here (default report.html; - is standard output)",
    )
    sources.add_arguments(p)
    return p


@attrs.frozen(kw_only=True)
class ReportOptions(sources.SourceOptions):
    """The options of ``kstats report``; ``output`` is a path, or - for standard output."""

    output: str

    @property
    def writes(self) -> str:
        """The page."""
        return self.output


def run(words: list[str]) -> int:
    """Run ``kstats report``; return the exit status."""
    wanted = parser().parse(words, ReportOptions)
    output = wanted.output
    if output != STDOUT and output in wanted.sources:
        raise UsageError(f"the page would overwrite the source {output}", "name another: -o FILE")
    with sources.opened(wanted) as found:
        page = _page(found)
    write(output, page)
    if output != STDOUT and sys.stderr.isatty():
        session.print_errors([f"wrote {printable(output)}"])
    sources.check(found)
    return 0


def _page(found: Sequence[sources.Source]) -> str:
    """Return the page of sources that were opened."""
    try:
        from kstats.report.gather import Gathered  # noqa: PLC0415 - an extra
        from kstats.report.page import html  # noqa: PLC0415
    except ModuleNotFoundError as error:
        library = error.name or "jinja2"
        raise MissingLibraryError(
            library, "kstats report", "jinja2", "kvm-kstats[report]"
        ) from error
    gathered = {source: Gathered(source.label, facts(source.header)) for source in found}
    for source in sources.live_last(found):
        gathered[source].add(source.samples())
    session.print_errors(
        f"{printable(one.label)}: the recording has no samples"
        for one in gathered.values()
        if one.aggregate.begin is None
    )
    return html(list(gathered.values()))


def facts(header: Header | None) -> Mapping[str, str]:
    """Return what a recording says about its host, without what is unknown."""
    if header is None:
        return {}
    host = header.host
    known = {
        "host": host.name,
        "kernel": host.kernel,
        "machine": host.machine,
        "CPU": readable(host.cpu_model),
        "kstats": header.kstats,
    }
    return {name: text for name, text in known.items() if text}


def write(path: str, text: str) -> None:
    """Write a file as a whole or not at all.

    Raises:
        KstatsError: It cannot be written.
    """
    if path == STDOUT:
        with streams.writing() as out:
            out.write(text)
        return
    try:
        outfile.replace(Path(path), text.encode())
    except OSError as error:
        reason = error.strerror or str(error)
        raise KstatsError(f"cannot write {printable(path)}: {reason}") from error
