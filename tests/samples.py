"""Samples made by hand, and by hypothesis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from hypothesis import strategies as st

from kstats.arch import BUILT_IN
from kstats.histogram import Histogram
from kstats.model import Code, Exits, Place, Sample

T = TypeVar("T")
At = TypeVar("At", bound=tuple[int, ...])

MOMENT = 1_769_860_800.25
"""2026-01-31T12:00:00.250Z."""


def sample(  # noqa: PLR0913 - the fields of a sample, most left alone
    exits: Mapping[Code, Mapping[int, int]] | None = None,
    *,
    arch: str = "x64",
    cpus: tuple[int, ...] = (0, 1),
    entries: Mapping[int, int] | None = None,
    elapsed: float = 1.0,
    code_dropped: Mapping[int, int] | None = None,
    unsupported_isa: int = 0,
    missed: int = 0,
    notes: tuple[str, ...] = (),
) -> Sample:
    """A sample whose ``exits`` are by code, then by CPU."""
    return Sample(
        arch=arch,
        time=MOMENT,
        elapsed=elapsed,
        cpus=cpus,
        entries=entries or {},
        exits={
            code: {Place(cpu, 0): Exits(n) for cpu, n in row.items()}
            for code, row in (exits or {}).items()
        },
        code_dropped=code_dropped or {},
        unsupported_isa=unsupported_isa,
        missed=missed,
        notes=notes,
    )


def placed(
    counts: Mapping[Code, Mapping[At, int]],
    latencies: Mapping[Code, Mapping[At, Histogram]] | None = None,
) -> dict[Code, dict[Place, Exits]]:
    """Return ``exits`` of a sample: by code, then by (cpu, thread) or (cpu, thread, detail)."""
    exits = {code: {Place(*at): Exits(n) for at, n in row.items()} for code, row in counts.items()}
    for code, row in (latencies or {}).items():
        places = exits.setdefault(code, {})
        for at, latency in row.items():
            place = Place(*at)
            places[place] = places.get(place, Exits()) + Exits(0, latency)
    return exits


def counts(exits: Mapping[T, Mapping[Place, Exits | int]]) -> dict[T, dict[tuple[int, ...], int]]:
    """Return the counts of exits or events; a place without a detail is (cpu, thread)."""
    found: dict[T, dict[tuple[int, ...], int]] = {}
    for key, places in exits.items():
        row = found[key] = {}
        for place, n in places.items():
            at = tuple(part for part in place if part is not None)
            row[at] = n if isinstance(n, int) else n.count
    return found


def total(sample: Sample) -> int:
    """Return how many exits a sample has, without those with a dropped code."""
    return sum(exits.count for places in sample.exits.values() for exits in places.values())


def _numbers(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most)


_CPUS = _numbers(5)
_PLACES = st.builds(Place, _CPUS, _numbers(2), st.none(), st.none())
_COUNTS = st.one_of(_numbers(3), _numbers(1 << 63))
_CODES = st.tuples(
    st.sampled_from((*(isa.name for arch in BUILT_IN for isa in arch.isas), "house")),
    st.one_of(_numbers(80), st.integers(1 << 32, (1 << 32) + 3), _numbers((1 << 64) - 1)),
)
_LINES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=9)

SAMPLES = st.builds(
    Sample,
    arch=st.sampled_from([arch.name for arch in BUILT_IN]),
    time=st.floats(0, 4e9),
    elapsed=st.one_of(st.just(0.0), st.floats(0.001, 1e6)),
    cpus=st.sets(_CPUS).map(lambda cpus: tuple(sorted(cpus))),
    entries=st.dictionaries(_CPUS, _COUNTS, max_size=4),
    exits=st.dictionaries(
        _CODES,
        st.dictionaries(
            st.builds(Place, _CPUS, _numbers(2)), st.builds(Exits, _COUNTS, st.none()), max_size=4
        ),
        max_size=6,
    ),
    code_dropped=st.dictionaries(_CPUS, _COUNTS, max_size=3),
    unsupported_isa=_COUNTS,
    missed=_COUNTS,
    notes=st.lists(_LINES, max_size=2).map(tuple),
)
"""Any samples at all: ISAs and codes that nobody knows, CPUs that went away, huge counts."""
