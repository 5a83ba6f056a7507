"""Read exits from the output of other tools, for data from machines without kstats.

::

    with open("trace.txt", "rb") as file:
        decoded = decode(file)
        decoded.format, decoded.isa       # 'perf', 'svm'
        for sample in decoded:            # like the samples of a live host
            ...

Nothing here needs root, bcc or the architecture of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import BinaryIO

import attrs

from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.errors import KstatsError, UnknownNameError
from kstats.importers import bcc_kvmexit, code_list, kvm_stat_log, traces
from kstats.importers.lines import Line, Problems, lines
from kstats.model import Sample
from kstats.recording.files import BEGIN, MAGIC

__all__ = ["FORMATS", "Decoded", "Format", "UnrecognizedError", "decode"]

MOST_HELD = 10_000
"""Lines that are read to detect the format and the ISA of a file."""

_RECORDING, _COMPRESSED = (head.decode(errors="surrogateescape") for head in (BEGIN, MAGIC))
_REPORT = '{"time": "'
"""How kstats' own files begin: recordings, compressed recordings, JSON reports."""


class UnrecognizedError(KstatsError):
    """The format or the ISA of the data cannot be detected."""


@attrs.frozen
class Format:
    """The output format of a tool.

    Attributes:
        about: A description for people.
        tells: What the format contains: ``cpus``, ``entries``, ``threads``, ``times``.
        fits: Whether only this tool writes such a line.
        speaks: Whether a line has an exit of an ISA.
        read: Turns lines into samples.
    """

    about: str
    tells: frozenset[str]
    fits: Callable[[str], bool]
    speaks: Callable[[Isa, str], bool]
    read: Callable[..., Iterator[Sample]]


_TRACE = frozenset({"cpus", "entries", "slow", "threads", "times"})

FORMATS: Mapping[str, Format] = {
    "perf": Format(
        "perf script of kvm:kvm_exit and kvm:kvm_entry",
        _TRACE,
        traces.fits_perf,
        traces.speaks,
        traces.read_perf,
    ),
    "ftrace": Format(
        "ftrace's trace, or trace-cmd report",
        _TRACE,
        traces.fits_ftrace,
        traces.speaks,
        traces.read_ftrace,
    ),
    "kvmexit": Format(
        "bcc's kvmexit",
        frozenset({"threads"}),
        bcc_kvmexit.fits,
        bcc_kvmexit.speaks,
        bcc_kvmexit.read,
    ),
    "kvm_stat": Format(
        "kvm_stat's log, with or without --csv",
        frozenset({"entries", "times"}),
        kvm_stat_log.fits,
        kvm_stat_log.speaks,
        kvm_stat_log.read,
    ),
    "codes": Format(
        "a list of codes or names, one per line, each optionally followed by a count",
        frozenset(),
        code_list.fits,
        code_list.speaks,
        code_list.read,
    ),
}
"""Every format by name, in the order in which they are tried."""


@attrs.define
class Decoded:
    """Samples of a file, which can be iterated over once.

    ``problems`` is filled during the iteration; the last sample has them as notes.
    """

    format: str
    isa: str
    problems: Problems
    _samples: Iterator[Sample]

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples. Each exit of the data is in exactly one of them.

        Raises:
            UnrecognizedError: The data have no exits.
        """
        held: Sample | None = None
        has_exits = False
        for sample in self._samples:
            if held:
                yield held
            held = sample
            has_exits = has_exits or bool(sample.exits or sample.code_dropped)
        if held is None or (self.problems.count and not has_exits):
            raise UnrecognizedError(
                f"no exits found when read as {self.format} of {self.isa}",
                "; ".join(self.problems.notes()),
            )
        yield attrs.evolve(held, notes=self.problems.notes())


def decode(
    stream: BinaryIO,
    *,
    format: str | None = None,  # noqa: A002 - its name everywhere
    isa: str | None = None,
    interval: float | None = None,
    slower_than: int | None = None,
) -> Decoded:
    """Read the output of another tool.

    Args:
        stream: Lines of bytes, read while samples are taken.
        format: One of :data:`FORMATS`; None to detect it.
        isa: An ISA, or an architecture that has it; None to detect it.
        interval: Length of a sample in seconds, if the data have times; None for one sample.
        slower_than: Of traces, keep single exits that took more nanoseconds; None for none.

    Raises:
        UnknownNameError: There is no such format or ISA.
        UnrecognizedError: The format or the ISA cannot be detected.
    """
    if format is not None and format not in FORMATS:
        raise UnknownNameError("format", format, tuple(FORMATS))
    candidates = lookup.isas(isa)
    held: list[Line] = []
    rest = lines(stream)
    name = format or _find_format(held, rest)
    found = _find_isa(FORMATS[name], candidates, held, rest)
    problems = Problems()
    more = {"slower_than": slower_than} if "slow" in FORMATS[name].tells else {}
    samples = FORMATS[name].read(chain(held, rest), found, problems, interval, **more)
    return Decoded(name, found.name, problems, samples)


def _find_format(held: list[Line], rest: Iterator[Line]) -> str:
    for line in _seen(held, rest):
        if line.number == 1:
            _refuse_ours(line.text)
        for name, known in FORMATS.items():
            if known.fits(line.text):
                return name
    raise UnrecognizedError(
        f"none of its {len(held)} lines has the format of a known tool",
        f"name the tool: --from {'|'.join(FORMATS)}",
    )


def _refuse_ours(text: str) -> None:
    """Raise UnrecognizedError if the file is for another command."""
    if text.startswith(_RECORDING):
        raise UnrecognizedError("this is a kstats recording", "kstats exits --input FILE")
    if text.startswith(_REPORT):
        raise UnrecognizedError(
            "this is a JSON report of kstats", "make recordings with kstats record or --record"
        )
    if text.startswith(_COMPRESSED):
        raise UnrecognizedError(
            "this is a compressed file",
            "for a recording: kstats exits --input FILE; else: zstd -dc FILE | kstats decode -",
        )


def _find_isa(
    known: Format, candidates: tuple[Isa, ...], held: list[Line], rest: Iterator[Line]
) -> Isa:
    """Return the ISA of the first line that only one ISA explains."""
    if len(candidates) == 1:
        return candidates[0]
    for line in _seen(held, rest):
        speaking = [isa for isa in candidates if known.speaks(isa, line.text)]
        if len(speaking) == 1:
            return speaking[0]
    raise UnrecognizedError(
        "cannot detect the ISA of the exits",
        f"name it: --isa {'|'.join(isa.name for isa in candidates)}",
    )


def _seen(held: list[Line], rest: Iterator[Line]) -> Iterator[Line]:
    """Yield the lines held so far, then further lines, which are held too."""
    yield from list(held)
    for line in islice(rest, MOST_HELD - len(held)):
        held.append(line)
        yield line
