"""The source of the report: self-contained, accessible, and safe with hostile names."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kstats import arch as arches
from kstats.arch.base import Category
from kstats.escape import printable
from kstats.model import Sample
from kstats.report import style
from kstats.report.bins import BINS
from kstats.report.causes import Causes
from kstats.report.chapter import Chapter
from kstats.report.page import html
from kstats.report.subject import MOST_ROWS
from kstats.views.exits import OTHERS
from kstats.vms.identity import Kind, Thread, Vm
from tests.report import made
from tests.samples import MOMENT, SAMPLES, sample, total
from tests.views.hosts import THREADS, WEB_0, happened, number

PAGES = [made.one, made.several, made.everything]
VOID = {"meta", "link", "input"}


class Reader(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.inside: dict[str, list[str]] = {}
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
        """Add text; a script or a style is text without elements."""
        self.text += data
        self.inside.setdefault(self.open[-1] if self.open else "", []).append(data)

    def values(self, name: str) -> list[str]:
        """Return the values of an attribute in all elements."""
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module", params=PAGES, ids=["one", "several", "full"])
def page(request: pytest.FixtureRequest) -> Reader:
    """Return a parsed report."""
    make: Callable[[], str] = request.param
    return Reader(make())


def test_it_has_no_external_references(page: Reader) -> None:
    for name in ("href", "xlink:href", "src", "srcset", "action", "data", "poster"):
        for value in page.values(name):
            assert value.startswith(("#", "data:"))
    (css,) = page.inside["style"]
    assert not re.search(r"url\(|@import|https?:", css)


def test_only_its_own_script_and_style_may_run(page: Reader) -> None:
    """The policy allows them by their hashes; there are no attributes that would need more."""
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"iframe", "object", "embed", "base", "form", "foreignobject"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    (policy,) = (
        attributes["content"]
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    style, script = (page.inside[name][-1] for name in ("style", "script"))
    assert policy == (
        f"default-src 'none'; style-src '{hashed(style)}'; script-src '{hashed(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    scripts = [a.get("type") for tag, a in page.elements if tag == "script"]
    assert Counter(scripts)[None] == 1
    assert set(scripts) == {None, "application/json"}
    for text in page.inside["script"][:-1]:
        json.loads(text)


def hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def test_every_picture_has_a_text_alternative(page: Reader) -> None:
    figures = [a for tag, a in page.elements if tag == "figure"]
    words = [a["aria-label"] for _, a in page.elements if a.get("role") == "img"]
    assert len(figures) == len(words) > 4
    assert all(len(text) > 30 for text in words)
    assert all(a["aria-hidden"] == "true" for tag, a in page.elements if tag == "svg")


def test_ids_are_unique_and_references_have_a_target(page: Reader) -> None:
    ids = Counter(page.values("id"))
    assert [name for name, times in ids.items() if times > 1] == []
    inside = [value[1:] for value in page.values("href") if value[0] == "#"]
    masks = [re.fullmatch(r"url\(#(.+)\)", value) for value in page.values("mask")]
    labels = page.values("aria-labelledby")
    for name in [*inside, *(mask[1] for mask in masks if mask), *labels]:
        assert name in ids
    assert all(masks)
    assert inside


def test_every_colour_is_a_category_or_neutral(page: Reader) -> None:
    """Pictures name classes that the style defines for light and dark; none has a colour itself."""
    (css,) = page.inside["style"]
    drawn = [a for tag, a in page.elements if tag in {"path", "rect"}]
    assert not [a for a in drawn if {"fill", "stroke", "color"} & a.keys()]
    used = {name for a in drawn for name in a.get("class", "").split() if name.startswith("k-")}
    assert used
    for name in used:
        assert f".{name}{{color:var(--{name})}}" in css
        assert len(re.findall(rf"--{name}:#[0-9a-f]{{6}};", css)) == 2
        assert re.search(rf"--{name}:light-dark\(#[0-9a-f]{{6}},#[0-9a-f]{{6}}\);", css)
    neutral = {"k-ink", *(f"k-{state}" for state in style.STATES)}
    categories = {name.split("-")[1] for name in used - neutral}
    assert categories <= {str(category) for category in Category}


def test_hostile_names_are_shown_literally(page: Reader) -> None:
    for name in made.HOSTILE:
        assert printable(name) in page.text


def test_figures_of_a_recording() -> None:
    text = Reader(made.one()).text
    assert f"{sum(map(total, made.busy())):,}" in text
    assert "vmx:0x99" in text
    assert "No exits: ints_win, ctrl_reg, msr(rd)" in text


def test_a_recording_without_threads_has_a_note() -> None:
    one = made.gathered("x", iter([sample({("vmx", 12): {0: 5}})]))
    assert "so their VMs are unknown" in html([one])


def test_rankings_are_short_and_account_for_everything() -> None:
    exits = {("vmx", 200 + i): {(0, WEB_0): i + 1} for i in range(MOST_ROWS + 10)}
    one = made.gathered("x", iter([happened(exits)]))
    ranks = Chapter(0, one).rankings.reasons.ranks
    assert len(ranks) == MOST_ROWS + 1
    assert (ranks[-1].name, ranks[-1].prose) == (OTHERS, "10 more")
    assert sum(rank.count for rank in ranks) == one.exits.total()


def test_vms_without_exits_are_listed() -> None:
    one = made.gathered("x", iter([happened({("vmx", 12): {(0, WEB_0): 5}}, THREADS)]))
    vms = Chapter(0, one).rankings.vms
    assert vms
    assert [(rank.name, rank.count) for rank in vms.ranks] == [("web", 5), ("db", 0)]


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


def lead(exits: int) -> str:
    """Return the first paragraph about a VM with so many CPUIDs in each of 30 seconds."""
    thread = Thread(8, 7, 0, Vm(7, 1, Kind.QEMU, "web"))
    samples = (
        happened({("vmx", 10): {(0, number(8, 7)): exits}}, {number(8, 7): thread}, time=MOMENT + n)
        for n in range(30)
    )
    read = Reader(html([made.gathered("x", samples)]))
    return " ".join(read.text[: read.text.index("exits per second")].split())


def test_the_first_paragraph_begins_with_the_cause() -> None:
    title = "A program in the guest executes CPUID very often"
    sentence = f"Critical, web: {title} (CPUID: 30,000 exits per vCPU-second)."
    assert sentence in lead(30_000)
    assert title not in lead(3_000)  # worth knowing, but not grave


def test_a_recording_of_hours_is_looked_at_here_and_there() -> None:
    """All of the first hour; a bad ten seconds in the next one may be passed over."""
    causes = Causes()
    for n in range(4 * 360):
        causes.add(attrs.evolve(sample({("vmx", 10): {0: 1}}, elapsed=10.0), time=MOMENT + 10 * n))
    windows = causes.report().windows
    assert windows == 360 + 720 // 2 + 360 // 4


def test_everything_that_a_recording_holds_is_shown() -> None:
    """The figures of ``made.full``: a change in the middle, one VM that waits, MSRs, slow exits."""
    read = Reader(made.everything())
    lead = " ".join(read.text[read.text.index("Critical, guest-1") :].split())
    for sentence in (
        "(vCPUs are runnable but wait for a CPU 13 % of the time). idle dominates",
        "idle dominates: 52.6 % of all exits, all HLT.",
        "guest-1 causes 16.9 % of the exits of 9 VMs, mostly IO_INSTRUCTION (39.3 % of its own).",
        "exits per second at 2026-01-31 12:04:59.",
    ):
        assert sentence in lead
    for text in ("MSR_IA32_TSC_DEADLINE(0x6e0)", "guest-1 vCPU 1", "99th percentile", "vCPU time"):
        assert text in read.text
    headings = [tag for tag, _ in read.elements if tag == "figure"]
    assert len(headings) > 20


def test_reasons_are_explained_on_the_page() -> None:
    """With the causes and remedies of ``kstats explain``; without advice to run it."""
    read = Reader(made.one())
    for text in (
        *arches.reason("vmx", 48).advice.causes,
        *arches.reason("vmx", 12).advice.remedies,
    ):
        assert text in read.text
    assert "see --explain" not in read.text


def test_a_script_in_the_data_stays_data() -> None:
    """Names in JSON cannot end its element."""
    vm = Vm(1, 1, Kind.QEMU, "</script><script>alert(1)</script>")
    other = Vm(2, 1, Kind.QEMU, "b")
    threads = {number(1, 1): Thread(1, 1, 0, vm), number(2, 2): Thread(2, 2, 0, other)}
    exits = {("vmx", 12): dict.fromkeys(((0, thread) for thread in threads), 3)}
    page = html([made.gathered("x", iter([happened(exits, threads)] * 2))])
    assert "alert(1)" in page
    assert "<script>alert" not in page
    data = [json.loads(text) for text in Reader(page).inside["script"][:-1]]
    assert any(vm.name in of.get("rows", []) for of in data)
