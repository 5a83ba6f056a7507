"""The source of the report: self-contained, accessible, and safe with hostile names."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kstats.escape import printable
from kstats.model import Sample
from kstats.report.gather import MOST_ROWS, OTHERS
from kstats.report.page import html
from kstats.report.timeline import BINS
from tests.report import made
from tests.samples import MOMENT, SAMPLES, sample, total
from tests.views.hosts import THREADS, WEB_0, happened

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
VOID = {"meta", "link", "input"}
PICTURES = {"path", "use", "image", "g", "rect", "line"}


class Reader(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element like ``<path/>``."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Close an element, which must be the last one opened."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Add text."""
        self.text += data

    def values(self, name: str) -> list[str]:
        """Return the values of an attribute in all elements."""
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module", params=[made.one, made.several], ids=["one", "several"])
def page(request: pytest.FixtureRequest) -> Reader:
    """Return a parsed report."""
    make: Callable[[], str] = request.param
    return Reader(make())


def test_it_has_no_external_references(page: Reader) -> None:
    for name in ("href", "xlink:href", "src", "srcset", "action", "data", "poster"):
        for value in page.values(name):
            assert value.startswith(("#", "data:"))
    for style in page.values("style"):
        assert not re.search(r"url\((?!#)|@import|https?:", style)


def test_it_has_no_scripts_or_handlers_and_a_policy_against_them(page: Reader) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "base", "form", "foreignobject"}
    assert not [n for _, attributes in page.elements for n in attributes if n.startswith("on")]
    (policy,) = (
        attributes["content"]
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == POLICY


def test_every_picture_has_a_text_alternative(page: Reader) -> None:
    pictures = [a for tag, a in page.elements if tag == "svg"]
    words = [a["aria-label"] for _, a in page.elements if a.get("role") == "img"]
    assert len(pictures) == len(words) > 5
    assert all(len(text) > 30 for text in words)
    assert all(attributes["aria-hidden"] == "true" for attributes in pictures)


def test_ids_are_unique_and_references_have_a_target(page: Reader) -> None:
    ids = Counter(page.values("id"))
    assert [name for name, times in ids.items() if times > 1] == []
    inside = [v[1:] for n in ("href", "xlink:href") for v in page.values(n) if v[0] == "#"]
    clips = [re.findall(r"url\(#([^)]+)\)", v) for v in page.values("clip-path")]
    labels = page.values("aria-labelledby")
    for name in [*inside, *(name for found in clips for name in found), *labels]:
        assert name in ids


def test_pictures_use_the_colours_of_the_page(page: Reader) -> None:
    """Pictures use CSS variables that the style sheet defines, for light and dark."""
    drawn = [a.get("style", "") for tag, a in page.elements if tag in PICTURES]
    assert not [style for style in drawn if re.search(r"#[0-9a-f]{6}", style)]
    used = {name for style in page.values("style") for name in re.findall(r"var\((--\w+)\)", style)}
    assert used
    for name in used:
        assert re.search(rf"{name}: light-dark\(", page.text)


def test_hostile_names_are_shown_literally(page: Reader) -> None:
    for name in made.HOSTILE:
        assert printable(name) in page.text


def test_figures_of_a_recording() -> None:
    text = Reader(made.one()).text
    assert f"{sum(map(total, made.busy())):,}" in text
    assert "vmx:0x99" in text
    assert "No exits: ints_win, ctrl_reg, msr rd" in text


def test_a_recording_without_threads_has_a_note() -> None:
    one = made.gathered("x", iter([sample({("vmx", 12): {0: 5}})]))
    assert "so their VMs are unknown" in html([one])


def test_rankings_are_short_and_account_for_everything() -> None:
    exits = {("vmx", 200 + i): {(0, WEB_0): i + 1} for i in range(MOST_ROWS + 10)}
    one = made.gathered("x", iter([happened(exits)]))
    ranks = one.reasons()
    assert len(ranks) == MOST_ROWS + 1
    assert (ranks[-1].name, ranks[-1].detail) == (OTHERS, "10 more")
    assert sum(rank.count for rank in ranks) == one.exits.total()


def test_vms_without_exits_are_listed() -> None:
    one = made.gathered("x", iter([happened({("vmx", 12): {(0, WEB_0): 5}}, THREADS)]))
    assert [(rank.name, rank.count) for rank in one.vms()] == [("web", 5), ("db", 0)]


def test_a_host_without_exits_has_a_report() -> None:
    text = Reader(html([made.gathered("x", iter([happened({})] * 3))])).text
    assert "busiest sample" in text
    assert not re.search(r"\b(nan|inf)\b", text)


def test_losses_and_notes_are_reported() -> None:
    one = made.gathered("x", iter([sample(code_dropped={0: 2}, notes=("n",))] * 3))
    text = Reader(html([one])).text
    assert "6 exits with a dropped code" in text
    assert "n (3 times)" in text


def test_the_page_of_a_large_host_stays_small() -> None:
    """256 CPUs with random counts, which do not compress: about a megabyte."""
    chosen = random.Random(1)  # noqa: S311 - any numbers do, but the same each time
    samples = (
        happened(
            {
                ("vmx", code): {(cpu, 0): chosen.randrange(5000) for cpu in range(256)}
                for code in (1, 7, 10, 12, 18, 28, 30, 31, 32, 40, 48, 55)
            },
            {},
            time=MOMENT + second,
        )
        for second in range(BINS + 1)
    )
    assert len(html([made.gathered("x", samples)])) < 1_500_000


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(SAMPLES, max_size=4), min_size=1, max_size=2))
def test_any_samples_make_a_report(recordings: list[list[Sample]]) -> None:
    """Unknown codes, huge counts, clocks that jump, samples of zero seconds."""
    text = html([made.gathered(f"r{i}", iter(samples)) for i, samples in enumerate(recordings)])
    read = Reader(text)
    assert not re.search(r"\b(nan|inf)\b", read.text)
    assert not [value for value in read.values("d") if "nan" in value]
