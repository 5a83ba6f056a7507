"""What a sample could not count as it should: figures for programs, sentences for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from kstats.model import Sample


@attrs.frozen
class _Gap:
    figure: Callable[[Sample], int]
    meaning: str


_GAPS: Mapping[str, _Gap] = {
    "lost": _Gap(
        lambda sample: sum(sample.lost.values()),
        "exits had codes that found no room or are not told: counted under vm_exit and other,"
        " number not kept",
    ),
    "foreign": _Gap(
        lambda sample: sample.foreign,
        "exits came from an ISA that is not decoded here: not counted",
    ),
    "missed": _Gap(
        lambda sample: sample.missed,
        "times the kernel skipped counting, another BPF program was running: not counted",
    ),
}


def figures(sample: Sample) -> tuple[tuple[str, int], ...]:
    """Every gap by name, also those that are zero."""
    return tuple((name, gap.figure(sample)) for name, gap in _GAPS.items())


def notes(sample: Sample) -> tuple[str, ...]:
    """The sample's own notes, and a line for each gap that is not zero."""
    return (*sample.notes, *sentences(dict(figures(sample))))


def sentences(figures: Mapping[str, int]) -> tuple[str, ...]:
    """A line for each gap that is not zero."""
    return tuple(f"{n} {_GAPS[name].meaning}" for name, n in figures.items() if n)


def unattributed(sample: Sample) -> tuple[str, ...]:
    """A line if exits lost their threads, in a view that tells threads apart."""
    n = sum(
        n for places in sample.exits.values() for (_, thread), n in places.items() if not thread
    )
    if not n or not sample.threads:  # without any, nobody told threads apart
        return ()
    lost = f"{n} exits found no room with their threads: counted, but not whose they are"
    return (f"{lost} (kstats exits --map-entries makes room)",)
