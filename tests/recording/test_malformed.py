"""Whatever a file holds: samples, or one error that names the line; never anything else."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import attrs
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kstats.errors import RecordingError
from kstats.histogram import Histogram
from kstats.model import Exits, Place
from kstats.recording import Clock, Header, IsaTable, Recording, Writer, files, read
from kstats.recording.decode import MOST_ITEMS, MOST_LISTS, MOST_OBJECTS, MOST_SERIES
from kstats.recording.encode import Encoder, header_line
from tests.recording.samples import ANY, HEADER
from tests.samples import sample

HEADER_TEXT = header_line(HEADER)
_ENCODER = Encoder()
GOOD = [
    HEADER_TEXT,
    *map(_ENCODER.line, [sample({("vmx", 48): {0: n}}, entries={0: n}) for n in (1, 2, 3)]),
]


def opened(data: bytes) -> Recording:
    return Recording("x.jsonl", io.BytesIO(data))


def count(data: bytes) -> int:
    """How many samples there are; raises RecordingError."""
    return sum(1 for _ in opened(data))


def changed(number: int, **keys: Any) -> bytes:
    """The good recording with other keys in one of its lines."""
    texts = list(GOOD)
    texts[number - 1] = json.dumps(json.loads(texts[number - 1]) | keys) + "\n"
    return "".join(texts).encode()


SLOW = {"time": 1, "code": ["vmx", 48], "place": [0, 0], "duration": 1}


def buckets(number: int) -> dict[str, Any]:
    """Series of a latency with that bucket."""
    return {"latency": [[[["vmx", 48], [0, 0]], ["total", "minimum", "maximum", number]]]}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "x.jsonl: the file is empty"),
        (b"\n", "x.jsonl: line 1: invalid JSON at character 2: Expecting value"),
        (b"cpu vm_entry vm_exit\n", "line 1: invalid JSON"),
        (b"[]\n", "line 1: not a JSON object"),
        (b"{}\n", "line 1: null is not a text"),
        (GOOD[0].replace("{", '{"arch":"", ', 1).encode(), 'line 1: the key "arch" comes twice'),
        (
            (GOOD[0] + GOOD[1].replace('"x64"', '{"\\u202e":1,"\\u202e":1}')).encode(),
            'line 2: the key "\\u202e" comes twice',
        ),
        (b'{"type": 1}\n', "line 1: 1 is not a text"),
        (b'{"type": "sample"}\n', "the first line is not a header"),
        (b'{"type": "header"}\n', "line 1: not the header of a kstats recording"),
        (
            changed(1, version=2),
            "line 1: format version 2 needs a newer kstats; this one reads version 1",
        ),
        (changed(1, version="1"), 'line 1: "1" is not a whole number'),
        (changed(1, arch=None), "line 1: arch: null is not a text"),
        (changed(1, clock={"time": 1}), "line 1: clock: 'monotonic' is missing"),
        (changed(1, host=[]), "line 1: host: a list of 0 is not an object"),
        (changed(1, isas={}), "line 1: isas: an object of 0 is not a list"),
        (changed(2, time="now"), 'line 2: time: "now" is not a number of seconds'),
        (changed(2, time=-1), "line 2: time: -1 seconds are out of range"),
        (changed(2, time=1e15), "line 2: time: 1e+15 seconds are out of range"),
        (changed(2, elapsed=5e-324), "line 2: elapsed: 4.94066e-324 seconds are out of range"),
        (changed(2, elapsed=float("nan")), "line 2: NaN is not a number"),
        (
            changed(1, clock={"time": 1e12, "monotonic": 1}),
            "line 1: clock: time: 1e+12 seconds are out of range",
        ),
        (
            changed(2, facts={"slow": [SLOW | {"time": 1e12}]}),
            "line 2: slow: time: 1e+12 seconds are out of",
        ),
        (
            changed(2, facts={"slow": [SLOW | {"time": -1e12}]}),
            "line 2: slow: time: -1e+12 seconds are out of",
        ),
        (changed(2, series=buckets(496)), "line 2: latency: a bucket is not between 0 and 495"),
        (changed(2, series=buckets(1 << 63)), "line 2: latency: a bucket is not between 0 and"),
        (changed(2, series=buckets(-1)), "line 2: latency: a bucket is not between 0 and 495"),
        (
            changed(2, key=False),
            "line 2: the lines before are missing, and this one has only changes",
        ),
        (changed(2, key=1), "line 2: key: 1 is not true or false"),
        (changed(2, facts={}), "line 2: arch is missing"),
        (changed(2, facts={"arch": "x64", "cpus": "0-3"}), 'line 2: cpus: "0-3" is not a list'),
        (
            changed(2, facts={"arch": "x64", "cpus": [0.5]}),
            "line 2: cpus: 0.5 is not a whole number",
        ),
        (
            changed(2, facts={"arch": "x64", "cpus": [True]}),
            "line 2: cpus: true is not a whole number",
        ),
        (changed(2, facts={"arch": "x64", "cpus": [-1]}), "line 2: cpus: a CPU is not between 0"),
        (
            changed(2, facts={"arch": "x64", "cpus": [1 << 20]}),
            "line 2: cpus: a CPU is not between 0 and 1048575",
        ),
        (
            changed(2, facts={"arch": "x64", "cpus": [0, 0]}),
            "line 2: cpus: CPUs are not in ascending order, or come twice",
        ),
        (
            changed(2, facts={"arch": "x64", "cpus": [0], "threads": [[1, None], [1, None]]}),
            "line 2: threads: a key comes twice",
        ),
        (
            changed(2, facts={"arch": "x64", "cpus": [0], "host_facts": [["a", 1], ["a", 2]]}),
            "line 2: host_facts: a key comes twice",
        ),
        (
            changed(2, facts={"arch": "x64", "cpus": [0], "slow": [SLOW | {"place": [-2, 0]}]}),
            "line 2: slow: place: -2 is not a CPU from -1 to 1048575",
        ),
        (
            changed(2, series={"entries": [[[], [1 << 20]]]}),
            "line 2: entries: 1048576 is not a CPU from -1 to 1048575",
        ),
        (
            changed(2, series={"exits": [[[["vmx", 48]], [[1 << 63, 0]]]]}),
            "line 2: exits: 9223372036854775808 is not a CPU from -1 to 1048575",
        ),
        (
            changed(2, series={"entries": [[[], [0, 0]]]}),
            "line 2: entries: a series is announced twice",
        ),
        (
            changed(3, series={"entries": [[[], [0]]]}),
            "line 3: entries: a series is announced twice",
        ),
        (changed(2, series={"exits": [[[], [0]]]}), "a series of exits cannot have 1 keys"),
        (
            changed(2, series={"exits": [[[["vmx"]], [[0, 0]]]]}),
            "a list of 1 does not have 2 items",
        ),
        (changed(2, series={"exits": 5}), "line 2: exits: 5 is not a list"),
        (changed(2, counts=[8, 1.5]), "line 2: counts: not only whole numbers"),
        (changed(2, counts=[0] * 6), "line 2: more counts than series"),
        (changed(2, counts=[-1]), "line 2: a count is not between 0 and 2**64-1"),
        (changed(3, counts=[-4]), "line 3: a count is not between 0 and 2**64-1"),
        (changed(4, counts=[1 << 66]), "line 4: a count is not between"),
        (changed(3, empty={"exits": [[1, 2]]}), "line 3: exits cannot have 2 keys above a count"),
        (HEADER_TEXT.encode() + b"\xff\xfe\n", "line 2: not UTF-8 text"),
        (b"[" * 100_000 + b"\n", "line 1: nested too deeply"),
        (HEADER_TEXT.encode() + b'{"type": "sample", "time": 1' + b"0" * 9999 + b"}\n", "line 2"),
        (HEADER_TEXT.encode() + b"1" * 9999 + b"\n", "line 2: a number is too large"),
    ],
)
def test_a_fault_is_told_with_its_line(data: bytes, complaint: str) -> None:
    with pytest.raises(RecordingError, match=r".") as caught:
        count(data)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_comes_before_a_fault_is_given() -> None:
    recording = opened(changed(4, time="soon"))
    samples = iter(recording)
    assert [next(samples).entries[0] for _ in range(2)] == [1, 2]
    with pytest.raises(RecordingError, match="line 4"):
        next(samples)


def test_a_fault_says_how_much_was_left_out() -> None:
    with pytest.raises(RecordingError, match=r"; 2 lines were left out of 4$") as caught:
        count(changed(3, counts=["oops"]))
    assert caught.value.line == 3
    assert caught.value.hint == "all other lines were read"


OTHERS = [
    attrs.evolve(HEADER, host=attrs.evolve(HEADER.host, name="db\x1b[2J")),
    attrs.evolve(HEADER, arch="arm64"),
    attrs.evolve(HEADER, isas=(IsaTable("svm", "AMD SVM", 1, ""),)),
]


@pytest.mark.parametrize("other", OTHERS, ids=["host", "arch", "isa"])
def test_hosts_are_not_mixed(other: Header) -> None:
    """``cat`` of two recordings is read to where the second one begins."""
    recording = opened("".join([*GOOD, header_line(other), *GOOD[1:]]).encode())
    samples = iter(recording)
    assert [next(samples).entries[0] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(
        RecordingError, match=r"line 5: the recording of another host starts"
    ) as caught:
        next(samples)
    assert str(caught.value).isprintable()
    assert "kstats compare reads both" in caught.value.hint
    assert count("".join(GOOD + GOOD).encode()) == 6


def test_hostile_text_is_not_repeated_as_it_is() -> None:
    with pytest.raises(RecordingError) as caught:
        count(changed(2, time="\x1b[2J\u202e" * 1000))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


class Endless(io.RawIOBase):
    """A file of ten gigabytes of one line."""

    def __init__(self) -> None:
        self.left = 10 << 30

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        size = min(size, self.left)
        self.left -= size
        return (
            b'{"type":"header","format":"'[:size] if self.left == (10 << 30) - size else b"x" * size
        )


def test_a_line_of_ten_gigabytes_takes_bounded_memory() -> None:
    tracemalloc.start()
    with pytest.raises(RecordingError, match=r"line 1: longer than 64 MiB"):
        Recording("x", Endless())  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * files.LONGEST_LINE


def test_a_small_file_that_unpacks_to_a_huge_line_takes_bounded_memory(tmp_path: Path) -> None:
    compressor = zstandard.ZstdCompressor().compressobj()
    packed = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(1 << 10))
    path = tmp_path / "bomb.jsonl.zst"
    path.write_bytes(packed + compressor.flush())
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(RecordingError, match=r"line 1: longer than 64 MiB"):
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * files.LONGEST_LINE


BOMBS = {
    "objects": b'{"":0},' * (MOST_OBJECTS + 1),
    "lists": b"[]," * (MOST_LISTS + 1),
    "items": b"0," * (MOST_ITEMS + 1),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_line_of_small_values_is_refused_before_it_is_parsed(kind: str) -> None:
    """Eleven million objects fit into a line, and take 2 GB; compressed, they take 6 kB."""
    data = HEADER_TEXT.encode() + b'{"type":"sample","x":[' + BOMBS[kind] + b"0]}\n"
    assert len(data) < files.LONGEST_LINE
    tracemalloc.start()
    with pytest.raises(RecordingError, match=rf"line 2: more than \d+ {kind};"):
        count(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * len(data)


def test_series_without_end_are_refused() -> None:
    half = list(range(MOST_SERIES // 2))
    more = {"code_dropped": [[[], half]], "entries": [[[], [-1]]]}
    text = json.dumps({"type": "sample", "time": 1, "elapsed": 1, "series": more})
    first = {"series": {"entries": [[[], half]]}, "counts": []}
    key = json.dumps(json.loads(GOOD[1]) | first)
    with pytest.raises(RecordingError, match=r"line 3: entries: more than \d+ series"):
        count(f"{HEADER_TEXT}{key}\n{text}\n".encode())


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_noise_is_refused_in_one_line(noise: bytes) -> None:
    for data in (noise, HEADER_TEXT.encode() + noise, files.packed("x", compressed=True) + noise):
        try:
            count(data)
        except RecordingError as error:
            assert "\n" not in str(error)  # noqa: PT017 - it may, but need not be raised


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_understood_or_refused(data: st.DataObject) -> None:
    """Part of a good recording is replaced by any JSON."""
    encoder = Encoder()
    texts = [HEADER_TEXT, *map(encoder.line, data.draw(st.lists(ANY, min_size=1, max_size=2)))]
    number = data.draw(st.integers(0, len(texts) - 1))
    line = json.loads(texts[number])
    _replace(line, data)
    texts[number] = json.dumps(line) + "\n"
    try:
        for found in opened("".join(texts).encode()):
            attrs.validate(found)
    except RecordingError as error:
        assert str(error).startswith("x.jsonl: ")  # noqa: PT017 - as above


def _replace(value: Any, data: st.DataObject) -> None:
    """Replaces something in a value of JSON, however deep."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(value[key], dict | list) or data.draw(st.booleans()):
            value[key] = data.draw(_JSON)
            return
        value = value[key]


@pytest.mark.parametrize(
    "wrong",
    [
        {"time": -1.0},
        {"time": 1e12},
        {"elapsed": 5e-324},
        {"entries": {0: 1 << 64}},
        {"entries": {0: -2}},
        {"entries": {0: 0.5}},
        {"entries": {1 << 64: 1}},
        {"entries": {-2: 1}},
        {"cpus": (0, 0)},
        {"cpus": (-1,)},
        {"exits": {("vmx", 48): {Place(1 << 20, 0): Exits(1)}}},
        {"missed": -5},
        {"notes": (5,)},
        {"exits": {("vmx", 48): {Place(0, 0): Exits(1, Histogram({496: 1}))}}},
    ],
    ids=str,
)
def test_the_writer_refuses_what_the_reader_refuses(wrong: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    fine = sample({("vmx", 48): {0: 1}})
    with Writer(path, HEADER) as writer:
        writer.write(fine)
        with pytest.raises(RecordingError, match="no reader would accept"):
            writer.write(attrs.evolve(fine, **wrong))
        writer.write(fine)
    with read(path) as recording:
        assert len(list(recording)) == 2


def test_a_header_that_no_reader_would_accept_creates_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with pytest.raises(RecordingError, match=r"clock: time: -6e\+10 seconds are out of range"):
        Writer(path, attrs.evolve(HEADER, clock=Clock(-6e10, 0)))
    assert not path.exists()
