"""Counters in columns give the same differences as counters one by one."""

from __future__ import annotations

from array import array
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kstats.collector.counters import Counters, Grouping, Key
from kstats.collector.threads import ExitsByThread
from tests.collector.readings import between
from tests.samples import counts

_KEYS = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1))
_READINGS = st.lists(st.lists(st.tuples(_KEYS, st.integers(1, 9)), max_size=8), max_size=5)


def columns(reading: list[tuple[Key, int]]) -> Counters:
    """Return a reading as maps have it: keys may come twice, and thread 0 is an unused entry."""
    keys = zip(*(key for key, _ in reading), strict=True) if reading else ((), (), ())
    threads, codes, cpus = (array("Q", column) for column in keys)
    return Counters(threads, codes, cpus, array("Q", [n for _, n in reading]))


@given(_READINGS)
def test_a_difference_is_that_of_each_counter(increases: list[list[tuple[Key, int]]]) -> None:
    """Totals of keys that come, stay, go and come again, in another order each time."""
    totals: Counter[Key] = Counter()
    grouping = Grouping()
    before = grouping.totals(columns([]))
    for increase in increases:
        old = totals.copy()
        totals.update(dict(increase))
        twins = [(key, 5) for key, n in totals.items() if n > 5]
        rest = [(key, n - 5 if n > 5 else n) for key, n in reversed(totals.items())]
        now = grouping.totals(columns(twins + rest))
        expected: dict[tuple[str, int], dict[tuple[int, ...], int]] = {}
        for (thread, code, cpu), n in totals.items():
            if thread and n > old[thread, code, cpu]:
                at = expected.setdefault(("native", code), {})
                at[cpu, thread] = n - old[thread, code, cpu]
        assert counts(between((ExitsByThread(), before, now)).exits) == expected
        before = now


def test_readings_with_the_same_keys_share_their_places() -> None:
    grouping = Grouping()
    one, two = (grouping.totals(Counters.of({(1, 2, 3): n, (1, 4, 3): n})) for n in (5, 9))
    assert one[2].places is one[4].places is two[2].places
    assert [*two[2].counts] == [9]
