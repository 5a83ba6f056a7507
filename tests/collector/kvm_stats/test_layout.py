"""The format of KVM's statistics: what the kernel describes is read, anything else is refused."""

from __future__ import annotations

import struct

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.collector.kvm_stats.layout import MOST, FormatError, Kind, Layout, Unit, parse
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
def test_only_what_grows_is_a_counter(kind: int) -> None:
    """Differences of anything else mean nothing; kinds of later kernels may be anything."""
    data = blob(Made("before", [1]), Made("other", [2], kind=kind), Made("after", [3]))
    assert counters(data) == {"before": 1, "after": 3}
    assert parse(data).stats[1].name == "other"


def test_several_values_under_one_name_are_no_counter() -> None:
    assert counters(blob(Made("list", [1, 2], kind=COUNTER), Made("exits", [3]))) == {"exits": 3}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize(("base", "meant"), [(0, 10), (1, 2), (2, 0), (15, 0)])
def test_every_flag_is_read(kind: Kind, unit: Unit, base: int, meant: int) -> None:
    flags = {"kind": kind & 15, "unit": unit & 15, "base": base}
    (stat,) = parse(blob(Made("some", [7], exponent=-9, bucket_size=1000, **flags))).stats
    assert attrs.astuple(stat) == ("some", kind, unit, meant, -9, 1, 0, 1000)


def test_layouts_of_one_kernel_are_one() -> None:
    """The vCPUs differ in their values and identity, never in their layout."""
    other = tuple(attrs.evolve(made, values=[9] * len(made.values)) for made in X64)
    assert parse(blob(*X64)) is parse(blob(*other))


def test_values_are_not_cut() -> None:
    assert counters(blob(Made("exits", [(1 << 64) - 1]))) == {"exits": (1 << 64) - 1}


def test_counters_may_lie_in_any_order_and_apart() -> None:
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
        (b"", "24 bytes at 0 lie beyond the end"),
        (blob(*X64)[:-400], "descriptors lie beyond the end"),
        (blob(*X64)[:-80], "the values lie beyond the end"),
        (blob(*X64, num_desc=0xFFFFFFFF), "descriptors lie beyond the end"),
        (blob(*X64, num_desc=5, name_size=0), "is no name"),
        (blob(*X64, name_size=0xFFFFFFFF), "descriptors lie beyond the end"),
        (blob(*X64, desc_offset=0xFFFFFFFF), "descriptors lie beyond the end"),
        (blob(*X64, data_offset=0xFFFFFFFF), "the values lie beyond the end"),
        (blob(Made("a"), Made("b"), name_size=8), "is no name"),
        (blob(Made("x" * NAME_SIZE)), "is no name"),
        (blob(Made("")), "is no name"),
        (blob(Made("two words")), "is no name"),
        (blob(Made("esc\x1b[31m")), "is no name"),
        (blob(Made("naïve")), "is no name"),
    ],
)
def test_what_is_no_file_of_kvm_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        parse(data)


@pytest.mark.parametrize("offset", [4, MOST + 8, 0xFFFFFFFF])
def test_values_that_overlap_or_lie_far_away_are_refused(offset: int) -> None:
    start = 24 + NAME_SIZE
    descriptors = Made("first").descriptor(0) + Made("second").descriptor(offset)
    head = blob(num_desc=2, data_offset=start + len(descriptors))[:start]
    with pytest.raises(FormatError, match="second lies at"):
        parse(head + descriptors + bytes(100))


def test_too_little_data_is_refused() -> None:
    with pytest.raises(FormatError, match="beyond the end"):
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
def test_whatever_is_described_is_found(stats: list[Made]) -> None:
    wanted = {m.name: m.values[0] for m in stats if m.kind == COUNTER and len(m.values) == 1}
    data = blob(*stats)
    assert counters(data) == wanted
    assert [stat.name for stat in parse(data).stats] == [made.name for made in stats]


@given(st.data())
def test_damage_ends_in_one_error(data: st.DataObject) -> None:
    """However a file is cut or changed: counters of some sort, or FormatError."""
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
