"""Read exits from the output of other tools, for data from machines without kstats.

::

    with open("trace.txt", "rb") as file:
        decoded = decode(file)
        decoded.format, decoded.isa       # 'perf', 'svm'
        for sample in decoded:            # like the samples of a live host
            ...

Nothing here needs root, bcc or the architecture of the data.

To add a format, write a module with three functions and an entry in :data:`FORMATS`:

- ``fits(text)``: whether only this tool writes such a line;
- ``clues(lines, isas)``: what the exits in lines say about the ISA (:mod:`.evidence`);
- ``read(lines, isa, problems, interval)``: yields samples. It makes them with a
  :class:`.sample_builder.SampleBuilder`, reports each line that it cannot read with
  ``problems.add(line, exits)``, with the number of exits in the line (0 if it does not look like
  exits), and whatever it assumes with ``problems.remark(text)``.

A file in which a large share of the exits is not understood has a :attr:`Decoded.shortfall`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import BinaryIO

import attrs

from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.arch.foreign import architecture_of
from kstats.errors import KstatsError, UnknownNameError
from kstats.importers import (
    headed,
    kvm_stat,
    lists,
    maps,
    others,
    shares,
    trace_lines,
    traces,
    triggers,
)
from kstats.importers.evidence import Choice, Clue, choose
from kstats.importers.lines import Line, Problems, lines
from kstats.importers.tables import Parse, Tables
from kstats.importers.trace_lines import Style, clean
from kstats.model import Sample
from kstats.recording.files import BEGIN, MAGIC

__all__ = ["FORMATS", "Decoded", "Format", "UnrecognizedError", "decode"]

MOST_HELD = 10_000
"""Lines that are read to detect the format and the ISA of a file."""

MOST_CLUES = 1_000
"""Exits that are read to detect the ISA, so that a live trace does not wait for more."""

_LAST_RESORT = "codes"
"""The format of files that have no line of another format: any word may be a name."""

_FILES = (
    (BEGIN, "a kstats recording", "kstats exits --input FILE"),
    (b'{"time": "', "a JSON report of kstats", "make recordings with kstats record or --record"),
    (
        MAGIC,
        "a compressed file",
        "for a recording: kstats exits --input FILE; else: zstd -dc FILE | kstats decode -",
    ),
    (b"PERFILE2", "perf's own file", "perf script -i FILE | kstats decode -"),
    (b"\x17\x08Dtracing", "trace-cmd's own file", "trace-cmd report FILE | kstats decode -"),
    (b"\x1f\x8b", "a compressed file", "zcat FILE | kstats decode -"),
    (b"\xfd7zXZ", "a compressed file", "xzcat FILE | kstats decode -"),
    (b"BZh", "a compressed file", "bzcat FILE | kstats decode -"),
)
"""How files begin that are not text of another tool, what they are, and what to run."""


class UnrecognizedError(KstatsError):
    """The format or the ISA of the data cannot be detected."""


@attrs.frozen
class Format:
    """The output format of a tool.

    Attributes:
        about: A description for people.
        tells: What the format contains: ``cpus``, ``entries``, ``threads``, ``times``.
        fits: Whether only this tool writes such a line.
        clues: What the exits in lines say about their ISA.
        read: Turns lines into samples.
    """

    about: str
    tells: frozenset[str]
    fits: Callable[[str], bool]
    clues: Callable[[Iterable[Line], tuple[Isa, ...]], Iterator[Clue]]
    read: Callable[..., Iterator[Sample]]


_TRACE = frozenset({"cpus", "entries", "slow", "threads", "times"})


def _tables(
    about: str, fits: Callable[[str], bool], tool: str, parse: Parse, *, threads: bool = False
) -> Format:
    tables = Tables(tool, parse)
    tells = frozenset({"threads"} if threads else ())
    return Format(about, tells, lambda text: fits(clean(text)), tables.clues, tables.read)


FORMATS: Mapping[str, Format] = {
    "perf": Format(
        "perf script, or perf trace, of kvm:kvm_exit and kvm:kvm_entry",
        _TRACE,
        trace_lines.is_perf,
        partial(traces.clues, Style.PERF),
        partial(traces.read, Style.PERF),
    ),
    "ftrace": Format(
        "ftrace's trace, or trace-cmd report",
        _TRACE,
        trace_lines.is_ftrace,
        partial(traces.clues, Style.FTRACE),
        partial(traces.read, Style.FTRACE),
    ),
    "kvm_stat": Format(
        "kvm_stat: its screen, -1, or its log with or without --csv",
        frozenset({"entries", "times"}),
        kvm_stat.fits,
        kvm_stat.clues,
        kvm_stat.read,
    ),
    "kvmexit": _tables(
        "bcc's kvmexit and its variants", headed.fits_kvmexit, "kvmexit", headed.parse, threads=True
    ),
    "perf-kvm": _tables("perf kvm stat report or live", headed.fits_perf, "perf-kvm", headed.parse),
    "perf-report": _tables(
        "perf report or perf top of kvm:kvm_exit", shares.fits, "perf-report", shares.parse
    ),
    "bpftrace": _tables(
        "a map of bpftrace: counts or histograms",
        maps.fits_bpftrace,
        "bpftrace",
        maps.parse_bpftrace,
    ),
    "hist": _tables("a histogram of an ftrace trigger", triggers.fits, "hist", triggers.parse),
    "table": _tables(
        "any table with headings for the reason and the count", headed.fits, "table", headed.parse
    ),
    "printf": Format(
        "output of a script with exit_reason=NUMBER or reason=NUMBER, one line per exit",
        _TRACE,
        trace_lines.is_printed,
        partial(traces.clues, Style.PRINTED),
        partial(traces.read, Style.PRINTED),
    ),
    "codes": _tables(
        "a list of codes or names, each with or without a count", lists.fits, "codes", lists.parse
    ),
}
"""Every format by name, in the order in which they are tried."""


@attrs.define
class Decoded:
    """Samples of a file, which can be iterated over once.

    ``problems`` is filled during the iteration; the last sample has them as notes. Before the
    last sample, ``shortfall`` becomes one line if a large share of the exits was not understood.
    """

    format: str
    isa: str
    problems: Problems
    _samples: Iterator[Sample]
    shortfall: str = ""

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples. Each exit of the data is in exactly one of them.

        Raises:
            UnrecognizedError: The data have no exits.
        """
        held: Sample | None = None
        understood = 0
        for sample in self._samples:
            if held:
                yield held
            held = sample
            understood += _exits(sample)
        if held is None or (self.problems.count and not understood):
            raise UnrecognizedError(
                f"no exits found when read as {self.format} of {self.isa}",
                "; ".join(self.problems.notes()),
            )
        self.shortfall = self.problems.shortfall(understood)
        yield attrs.evolve(held, notes=self.problems.notes())


def _exits(sample: Sample) -> int:
    named = sum(exits.count for places in sample.exits.values() for exits in places.values())
    return named + sum(sample.code_dropped.values())


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
    name, guess = (format, "") if format else _find_format(held, rest)
    found = _find_isa(FORMATS[name], candidates, held, rest)
    problems = Problems(remarks=[text for text in (guess, found.guess) if text])
    more = {"slower_than": slower_than} if "slow" in FORMATS[name].tells else {}
    samples = FORMATS[name].read(chain(held, rest), found.isa, problems, interval, **more)
    return Decoded(name, found.isa.name, problems, samples)


def _find_format(held: list[Line], rest: Iterator[Line]) -> tuple[str, str]:
    """Return the format, and what is a guess about it."""
    listed = False
    for line in _seen(held, rest):
        if line.number == 1:
            _refuse_file(line.text)
        for name, known in FORMATS.items():
            if name == _LAST_RESORT:
                listed = listed or known.fits(line.text)
            elif known.fits(line.text):
                return _counted(name, held, rest) if known.tells is _TRACE else (name, "")
    if not held:
        raise UnrecognizedError("the input is empty", "check the command that wrote it")
    _refuse_others(held)
    if listed:
        return _LAST_RESORT, ""
    raise UnrecognizedError(
        f"none of its {len(held)} lines has the format of a known tool",
        f"name the tool: --from {'|'.join(FORMATS)}",
    )


def _counted(name: str, held: list[Line], rest: Iterator[Line]) -> tuple[str, str]:
    """Return the format of a trace, or of a list if its events are counted."""
    if not trace_lines.are_counted(_seen(held, rest)):
        return name, ""
    return _LAST_RESORT, (
        "the number in front of each event is taken for its count, as by uniq -c;"
        f" for a thread: --from {name}"
    )


def _refuse_file(text: str) -> None:
    """Raise UnrecognizedError if the first line is that of another kind of file."""
    head = text.encode(errors="surrogateescape")
    for begin, what, hint in _FILES:
        if head.startswith(begin):
            raise UnrecognizedError(f"this is {what}", hint)


def _refuse_others(held: list[Line]) -> None:
    """Raise UnrecognizedError if the lines cannot be decoded, but it is known what they are."""
    name = next(filter(None, (architecture_of(line.text) for line in held)), None)
    if name:
        raise UnrecognizedError(
            f"this is a trace of {name}, and no backend for {name} is installed",
            "docs/backends.md says how to add one; kstats arch lists what is there",
        )
    other = others.recognize(held)
    if other:
        raise UnrecognizedError(other.why, other.hint)


def _find_isa(
    known: Format, candidates: tuple[Isa, ...], held: list[Line], rest: Iterator[Line]
) -> Choice:
    """Return the ISA that explains most of the first exits."""
    if len(candidates) == 1:
        return Choice(candidates[0])
    clues = known.clues(_seen(held, rest), candidates)
    choice = choose(candidates, islice(clues, MOST_CLUES))
    if choice is None:
        _refuse_others(held)
        raise UnrecognizedError(
            "cannot detect the ISA of the exits",
            f"name it: --isa {'|'.join(isa.name for isa in candidates)}",
        )
    return choice


def _seen(held: list[Line], rest: Iterator[Line]) -> Iterator[Line]:
    """Yield the lines held so far, then further lines, which are held too."""
    yield from list(held)
    for line in islice(rest, MOST_HELD - len(held)):
        held.append(line)
        yield line
