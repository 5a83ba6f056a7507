"""Samples made by hand, and by hypothesis."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from kstats.model import Code, Sample

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
    placed = {code: {(cpu, 0): n for cpu, n in row.items()} for code, row in (exits or {}).items()}
    return Sample(
        arch=arch,
        time=MOMENT,
        elapsed=elapsed,
        cpus=cpus,
        entries=entries or {},
        exits=placed,
        code_dropped=code_dropped or {},
        unsupported_isa=unsupported_isa,
        missed=missed,
        notes=notes,
    )


def _numbers(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most)


_CPUS = _numbers(5)
_COUNTS = st.one_of(_numbers(3), _numbers(1 << 63))
_CODES = st.tuples(
    st.sampled_from(("vmx", "svm", "arm64", "house")),
    st.one_of(_numbers(80), st.integers(1 << 32, (1 << 32) + 3), _numbers((1 << 64) - 1)),
)
_LINES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=9)

SAMPLES = st.builds(
    Sample,
    arch=st.sampled_from(("x64", "arm64")),
    time=st.floats(0, 4e9),
    elapsed=st.one_of(st.just(0.0), st.floats(0.001, 1e6)),
    cpus=st.sets(_CPUS).map(lambda cpus: tuple(sorted(cpus))),
    entries=st.dictionaries(_CPUS, _COUNTS, max_size=4),
    exits=st.dictionaries(
        _CODES,
        st.dictionaries(st.tuples(_CPUS, _numbers(2)), _COUNTS, max_size=4),
        max_size=6,
    ),
    code_dropped=st.dictionaries(_CPUS, _COUNTS, max_size=3),
    unsupported_isa=_COUNTS,
    missed=_COUNTS,
    notes=st.lists(_LINES, max_size=2).map(tuple),
)
"""Any samples at all: ISAs and codes that nobody knows, CPUs that went away, huge counts."""
