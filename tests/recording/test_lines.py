"""Samples become lines and samples again: the same ones, whatever is in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from kstats.model import Sample
from kstats.recording.decode import Decoder
from kstats.recording.encode import KEY_EVERY, Encoder, header_line
from tests.recording.samples import ANY, HEADER, fields
from tests.samples import counts, sample

ROOT = Path(__file__).parents[2]


def lines(samples: Iterable[Sample]) -> list[str]:
    """The lines of a recording."""
    encoder = Encoder()
    return [header_line(HEADER), *map(encoder.line, samples)]


def samples(texts: Iterable[str]) -> Iterator[Sample]:
    """The samples of lines."""
    decoder = Decoder()
    return (found for found in map(decoder.line, texts) if found)


@given(st.lists(ANY, max_size=4))
def test_what_is_read_is_what_was_written(written: list[Sample]) -> None:
    read = list(samples(lines(written)))
    assert list(map(fields, read)) == list(map(fields, written))


def test_samples_made_up_here_have_something_in_every_field() -> None:
    """A field that is added must be recorded, too: then its values belong into ``ANY``."""
    filled: set[str] = set()

    @settings(max_examples=100)
    @given(ANY)
    def fill(made: Sample) -> None:
        filled.update(name for name, value in fields(made).items() if value)

    fill()
    assert filled == {field.name for field in attrs.fields(Sample)}


def test_what_stays_the_same_is_said_once() -> None:
    same = sample({("vmx", 48): {0: 7, 1: 9}}, entries={0: 7, 1: 9})
    _, first, *rest = map(json.loads, lines([same] * 3))
    assert set(first) == {"type", "time", "elapsed", "key", "facts", "series", "counts"}
    assert [set(line) for line in rest] == [{"type", "time", "elapsed"}] * 2


def test_now_and_then_a_line_stands_for_itself() -> None:
    made = [json.loads(line) for line in lines([sample({("vmx", 48): {0: 7}})] * (KEY_EVERY + 1))]
    keys = [number for number, line in enumerate(made) if line.get("key")]
    assert keys == [1, 1 + KEY_EVERY]


def test_lines_stay_short_when_threads_come_and_go() -> None:
    """Series that are no longer in use are forgotten, not written as zeros for ever."""
    new = ({("vmx", 48): dict.fromkeys(range(n * 100, n * 100 + 100), 1)} for n in range(100))
    made = lines(map(sample, new))
    assert max(map(len, made)) < 10_000


def test_codes_that_nobody_knows_keep_their_numbers() -> None:
    (read,) = samples(lines([sample({("house", 0xFFFF_FFFF_FFFF): {7: 1}})]))
    assert counts(read.exits) == {("house", 0xFFFF_FFFF_FFFF): {(7, 0): 1}}


def test_what_a_later_version_adds_is_left_alone() -> None:
    """Keys, fields, counters, whole lines: none of them is in the way."""
    header, line = map(json.loads, lines([sample({("vmx", 48): {0: 7}})]))
    header["mood"] = "good"
    header["host"]["weather"] = {"sun": 1}
    line["colour"] = "red"
    line["facts"]["mood"] = ["bad"]
    line["empty"] = {"moods": [[1]]}
    line["series"] = {"moods": [[["a", ["b"]], [1, [2], {}]]]} | line["series"]
    line["counts"] = [4, 5, 6, *line["counts"]]
    texts = map(json.dumps, (header, {"type": "mood", "x": 1}, line))
    (read,) = samples(texts)
    assert counts(read.exits) == {("vmx", 48): {(0, 0): 7}}


def test_the_example_in_the_documents_is_one() -> None:
    """docs/recording.md breaks its lines for people."""
    text = (ROOT / "docs" / "recording.md").read_text(encoding="utf-8")
    _, _, after = text.partition("### Example")
    block = after.split("```")[1].removeprefix("json\n")
    objects = re.sub(r"\n ", "", block).splitlines()
    read = list(samples(objects))
    assert [counts(s.exits) for s in read] == [{("vmx", 48): {(0, 0): n}} for n in (7, 8)]
    assert [s.entries for s in read] == [{0: 7}, {0: 8}]
