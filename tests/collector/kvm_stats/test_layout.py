"""The format of KVM's statistics: valid files are read, any others are refused."""

from __future__ import annotations

import struct

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.collector.kvm_stats.layout import MAX_BYTES, FormatError, Layout, parse
from tests.collector.kvm_stats.blobs import (
    COUNTER,
    INSTANT,
    LINEAR,
    LOG,
    NAME_SIZE,
    PEAK,
    X64,
    X64_COUNTERS,
    Made,
    blob,
)


def counters(data: bytes) -> dict[str, int]:
    layout = parse(data)
    return layout.counters(data[layout.data_offset : layout.data_offset + layout.size])


def test_counters_of_a_known_file() -> None:
    assert counters(blob(*X64)) == X64_COUNTERS


def test_a_file_without_statistics_has_no_counters() -> None:
    assert counters(blob()) == {}


@pytest.mark.parametrize("kind", [INSTANT, PEAK, LINEAR, LOG, 5, 15])
def test_only_statistics_that_grow_are_counters(kind: int) -> None:
    """Differences of others are meaningless; kinds of later kernels may be anything."""
    data = blob(Made("before", [1]), Made("other", [2], kind=kind), Made("after", [3]))
    assert counters(data) == {"before": 1, "after": 3}
    assert parse(data).stats[1].name == "other"


def test_a_statistic_of_several_values_is_not_a_counter() -> None:
    assert counters(blob(Made("list", [1, 2], kind=COUNTER), Made("exits", [3]))) == {"exits": 3}


@pytest.mark.parametrize("kind", range(16))
@pytest.mark.parametrize("unit", [0, 1, 4, 15])
@pytest.mark.parametrize("base", [0, 1, 15])
def test_the_kind_is_in_the_lowest_bits_of_the_flags(kind: int, unit: int, base: int) -> None:
    made = Made("some", [7], kind=kind, unit=unit, base=base, exponent=-9, bucket_size=1000)
    (stat,) = parse(blob(made)).stats
    assert attrs.astuple(stat) == ("some", kind, 1, 0)
    assert stat.is_counter is (kind == COUNTER)


def test_equal_descriptors_share_one_layout() -> None:
    """The vCPUs differ in their values and identity, never in their layout."""
    other = tuple(attrs.evolve(made, values=[9] * len(made.values)) for made in X64)
    assert parse(blob(*X64)) is parse(blob(*other))


def test_values_have_64_bits() -> None:
    assert counters(blob(Made("exits", [(1 << 64) - 1]))) == {"exits": (1 << 64) - 1}


def test_counters_may_be_in_any_order_with_gaps() -> None:
    first, second = Made("first").descriptor(800), Made("second").descriptor(16)
    start = 24 + NAME_SIZE + len(first) * 2
    data = bytearray(blob(num_desc=2, data_offset=start)[: 24 + NAME_SIZE] + first + second)
    data += bytes(808)
    struct.pack_into("=Q", data, start + 800, 1)
    struct.pack_into("=Q", data, start + 16, 2)
    assert counters(bytes(data)) == {"first": 1, "second": 2}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "truncated: no 24 bytes at 0"),
        (blob(*X64)[:-400], "descriptors end at byte"),
        (blob(*X64)[:-80], "truncated values"),
        (blob(*X64, num_desc=0xFFFFFFFF), "descriptors end at byte"),
        (blob(*X64, num_desc=5, name_size=0), "invalid name"),
        (blob(*X64, name_size=0xFFFFFFFF), "descriptors end at byte"),
        (blob(*X64, desc_offset=0xFFFFFFFF), "descriptors end at byte"),
        (blob(*X64, data_offset=0xFFFFFFFF), "truncated values"),
        (blob(Made("a"), Made("b"), name_size=8), "invalid name"),
        (blob(Made("x" * NAME_SIZE)), "invalid name"),
        (blob(Made("")), "invalid name"),
        (blob(Made("two words")), "invalid name"),
        (blob(Made("esc\x1b[31m")), "invalid name"),
        (blob(Made("naïve")), "invalid name"),
    ],
)
def test_invalid_files_are_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        parse(data)


@pytest.mark.parametrize("offset", [4, MAX_BYTES + 8, 0xFFFFFFFF])
def test_invalid_offsets_are_refused(offset: int) -> None:
    start = 24 + NAME_SIZE
    descriptors = Made("first").descriptor(0) + Made("second").descriptor(offset)
    head = blob(num_desc=2, data_offset=start + len(descriptors))[:start]
    with pytest.raises(FormatError, match="invalid offset of second"):
        parse(head + descriptors + bytes(100))


def test_too_little_data_is_refused() -> None:
    with pytest.raises(FormatError, match="truncated: no"):
        parse(blob(*X64)).counters(bytes(8))


@given(
    st.lists(
        st.builds(
            Made,
            st.from_regex(r"[a-z][a-z0-9_]{0,46}", fullmatch=True),
            st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=40),
            kind=st.integers(0, 15),
            unit=st.integers(0, 15),
            base=st.integers(0, 15),
            exponent=st.integers(-32768, 32767),
        ),
        unique_by=lambda made: made.name,
        max_size=12,
    )
)
def test_every_described_statistic_is_found(stats: list[Made]) -> None:
    wanted = {m.name: m.values[0] for m in stats if m.kind == COUNTER and len(m.values) == 1}
    data = blob(*stats)
    assert counters(data) == wanted
    assert [stat.name for stat in parse(data).stats] == [made.name for made in stats]


@given(st.data())
def test_a_damaged_file_raises_nothing_but_format_errors(data: st.DataObject) -> None:
    """Damaged or truncated files give counters of some sort, or a FormatError."""
    damaged = bytearray(blob(*X64))
    for at in data.draw(st.lists(st.integers(0, 24 + NAME_SIZE + 64 * len(X64)), max_size=6)):
        damaged[at] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        layout = parse(cut)
        found = layout.counters(cut[layout.data_offset :])
    except FormatError:
        return
    assert isinstance(layout, Layout)
    assert all(0 <= value < 1 << 64 for value in found.values())
