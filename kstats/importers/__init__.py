"""Other tools' data through our tables: what machines without kstats have recorded.

::

    with open("trace.txt", "rb") as file:
        decoded = decode(file)
        decoded.format, decoded.isa       # 'perf', 'svm'
        for sample in decoded:            # as from a host that kstats looked at
            ...

Nothing here needs root, bcc, or the architecture that the data are from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
"""Lines that are looked at to find out what a file is."""

_RECORDING, _COMPRESSED = (head.decode(errors="surrogateescape") for head in (BEGIN, MAGIC))
_REPORT = '{"time": "'
"""How files of kstats itself begin: recordings, what is compressed, reports as JSON."""


class UnrecognizedError(KstatsError):
    """It does not become clear what the data are, or of which ISA."""


@attrs.frozen
class Format:
    """What a tool writes.

    Attributes:
        about: What it is, for people.
        tells: What samples of it can have: ``cpus``, ``entries``, ``threads``, ``times``.
        fits: Whether a line is one that only this tool writes.
        speaks: Whether a line is of an ISA.
        read: Samples from lines.
    """

    about: str
    tells: frozenset[str]
    fits: Callable[[str], bool]
    speaks: Callable[[Isa, str], bool]
    read: Callable[[Iterable[Line], Isa, Problems, float | None], Iterator[Sample]]


_TRACE = frozenset({"cpus", "entries", "threads", "times"})

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
        "a bare list of codes or names, one a line, each with a count behind it or without",
        frozenset(),
        code_list.fits,
        code_list.speaks,
        code_list.read,
    ),
}
"""Every format by its name, in the order in which they are tried."""


@attrs.define
class Decoded:
    """Samples of a file, once; ``format`` and ``isa`` say what it was taken for.

    ``problems`` grows while samples are taken; the last sample's notes tell of them.
    """

    format: str
    isa: str
    problems: Problems
    _samples: Iterator[Sample]

    def __iter__(self) -> Iterator[Sample]:
        """The samples; an exit that the data tell is in exactly one of them.

        Raises:
            UnrecognizedError: there are none.
        """
        held: Sample | None = None
        told = False
        for sample in self._samples:
            if held:
                yield held
            held = sample
            told = told or bool(sample.exits or sample.code_dropped)
        if held is None or (self.problems.count and not told):
            raise UnrecognizedError(
                f"no exits in it: it was taken for {self.format} of {self.isa}",
                "; ".join(self.problems.notes()),
            )
        yield attrs.evolve(held, notes=self.problems.notes())


def decode(
    stream: BinaryIO,
    *,
    format: str | None = None,  # noqa: A002 - what it is called everywhere
    isa: str | None = None,
    interval: float | None = None,
) -> Decoded:
    """Reads what another tool wrote.

    Args:
        stream: Lines of bytes; read as samples are taken.
        format: One of :data:`FORMATS`; None to find out.
        isa: An ISA, or an architecture to find it in; None to find out.
        interval: Seconds of a sample, where the data tell times; None for one sample.

    Raises:
        UnknownNameError: there is no such format or ISA.
        UnrecognizedError: it does not become clear what the data are.
    """
    if format is not None and format not in FORMATS:
        raise UnknownNameError("format", format, tuple(FORMATS))
    candidates = lookup.isas(isa)
    held: list[Line] = []
    rest = lines(stream)
    name = format or _find_format(held, rest)
    found = _find_isa(FORMATS[name], candidates, held, rest)
    problems = Problems()
    samples = FORMATS[name].read(chain(held, rest), found, problems, interval)
    return Decoded(name, found.name, problems, samples)


def _find_format(held: list[Line], rest: Iterator[Line]) -> str:
    for line in _seen(held, rest):
        if line.number == 1:
            _refuse_ours(line.text)
        for name, known in FORMATS.items():
            if known.fits(line.text):
                return name
    raise UnrecognizedError(
        f"none of {len(held)} lines looks like what a known tool writes about exits",
        f"say what it is: --from {'|'.join(FORMATS)}",
    )


def _refuse_ours(text: str) -> None:
    """Raises UnrecognizedError if a file that begins so is for another command."""
    if text.startswith(_RECORDING):
        raise UnrecognizedError("it is a recording of kstats", "kstats exits --input FILE")
    if text.startswith(_REPORT):
        raise UnrecognizedError(
            "it is a report of kstats as JSON", "kstats record keeps what every view can show again"
        )
    if text.startswith(_COMPRESSED):
        raise UnrecognizedError(
            "it is compressed",
            "a recording: kstats exits --input FILE; else: zstd -dc FILE | kstats decode -",
        )


def _find_isa(
    known: Format, candidates: tuple[Isa, ...], held: list[Line], rest: Iterator[Line]
) -> Isa:
    """The first ISA that a line is of alone."""
    if len(candidates) == 1:
        return candidates[0]
    for line in _seen(held, rest):
        speaking = [isa for isa in candidates if known.speaks(isa, line.text)]
        if len(speaking) == 1:
            return speaking[0]
    raise UnrecognizedError(
        "of which ISA the exits are does not become clear",
        f"say which: --isa {'|'.join(isa.name for isa in candidates)}",
    )


def _seen(held: list[Line], rest: Iterator[Line]) -> Iterator[Line]:
    """The lines that were looked at, then more of them; all are kept."""
    yield from list(held)
    for line in islice(rest, MOST_HELD - len(held)):
        held.append(line)
        yield line
