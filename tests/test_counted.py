"""Exits as columns are shown, recorded and added up exactly as those that are objects."""

from __future__ import annotations

from collections import Counter

import attrs
from hypothesis import given
from hypothesis import strategies as st

from kstats.compare.aggregate import PARTS, Aggregate
from kstats.counted import Counted, Sums
from kstats.model import Code, Exits, Place, Sample
from kstats.recording import merged
from kstats.views.exits import ExitsView
from kstats.views.exits import Options as ExitsOptions
from kstats.views.percpu import Options, PerCpuView
from tests.recording.samples import ANY
from tests.recording.test_lines import lines, samples
from tests.samples import SAMPLES, sample, total

MORE = (Place(2, 2), Place(7, 0), Place(-1, 1))
"""Places where nothing happened in most samples."""


def as_columns(of: Sample) -> Sample:
    """Return the sample with exits as columns: codes share the places, and have zeros."""
    shared = tuple(dict.fromkeys((*MORE, *(place for at in of.exits.values() for place in at))))

    def column(at: dict[Place, Exits]) -> Counted:
        return Counted(shared, [at[place].count if place in at else 0 for place in shared])

    exits = {code: column(dict(places)) for code, places in of.exits.items()}
    return attrs.evolve(of, exits=exits)


def without_zeros(of: Sample) -> Sample:
    """Return the sample without places where nothing happened."""
    exits = {c: {p: e for p, e in at.items() if e.count} for c, at in of.exits.items()}
    return attrs.evolve(of, exits=exits)


@given(SAMPLES)
def test_columns_are_a_mapping_without_zeros(made: Sample) -> None:
    for code, places in without_zeros(made).exits.items():
        columns = as_columns(made).exits[code]
        assert columns == places
        assert dict(columns) == places
        assert len(columns) == len(places)
        assert bool(columns) == bool(places)
        assert [*columns.values()] == [columns[place] for place in columns]


@given(made=SAMPLES, reasons=st.booleans(), nonzero=st.booleans())
def test_columns_give_the_same_table_by_cpu(made: Sample, *, reasons: bool, nonzero: bool) -> None:
    options = Options(reasons=reasons, nonzero=nonzero, detail=True, total=True)
    tables = [PerCpuView(options).table(of) for of in (without_zeros(made), as_columns(made))]
    assert tables[0] == tables[1]


@given(SAMPLES, st.sampled_from([("cpu",), ("reason",), ("tid", "isa"), ("cpu", "tid", "reason")]))
def test_columns_give_the_same_table_of_exits(made: Sample, by: tuple[str, ...]) -> None:
    options = ExitsOptions(by=by)
    tables = [ExitsView(options).table(of) for of in (without_zeros(made), as_columns(made))]
    assert tables[0] == tables[1]


@given(SAMPLES, st.sampled_from([None, *PARTS]))
def test_columns_add_up_to_the_same(made: Sample, by: str | None) -> None:
    found = []
    for of in (without_zeros(made), as_columns(made)):
        aggregate = Aggregate(by, reasons=True)
        aggregate.add(of)
        found.append({key: part.exits for key, part in aggregate.parts.items()})
    assert found[0] == found[1]


@given(st.lists(ANY, max_size=3))
def test_columns_are_read_as_they_were_written(written: list[Sample]) -> None:
    mixed = [as_columns(one) if i % 2 else one for i, one in enumerate(written)]
    read = [one.exits for one in samples(lines(mixed))]
    assert read == [one.exits for one in mixed]


def test_what_is_read_are_columns_that_share_their_places() -> None:
    both = sample({("vmx", 48): {0: 7, 1: 9}, ("vmx", 12): {0: 1, 1: 2}})
    first, second = samples(lines([both, both]))
    columns = [at for of in (first, second) for at in of.exits.values()]
    assert all(isinstance(at, Counted) for at in columns)
    assert len({id(at.places) for at in columns if isinstance(at, Counted)}) == 1


@given(SAMPLES)
def test_sums_are_those_of_the_places(made: Sample) -> None:
    for of in (made, as_columns(made)):
        by_thread = Sums(lambda place: place.thread)
        found: Counter[tuple[Code, int]] = Counter()
        for code, exits in of.exits.items():
            keys, sums = by_thread.of(exits)
            assert len(set(keys)) == len(keys)
            found.update({(code, key): n for key, n in zip(keys, sums, strict=True)})
        assert found.total() == total(made)
        assert +found == +Counter(
            {
                (code, thread): sum(e.count for p, e in at.items() if p.thread == thread)
                for code, at in made.exits.items()
                for thread in {place.thread for place in at}
            }
        )


@given(st.lists(st.tuples(SAMPLES, st.booleans()), min_size=1, max_size=3), st.booleans())
def test_columns_are_merged_like_objects(some: list[tuple[Sample, bool]], repeated: bool) -> None:  # noqa: FBT001
    mixed = [as_columns(made) if columns else made for made, columns in some]
    plain = [made for made, _ in some]
    if repeated:  # with the very same places
        mixed, plain = [*mixed, mixed[-1]], [*plain, plain[-1]]
    found, expected = (list(merged(made, 1e9)) for made in (mixed, plain))
    assert [without_zeros(one).exits for one in found] == [
        without_zeros(one).exits for one in expected
    ]
