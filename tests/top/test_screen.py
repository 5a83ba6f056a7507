"""Screens are a function of state and size: text of that size that no name can break out of."""

from __future__ import annotations

import attrs
import pytest
from wcwidth import wcswidth

from kstats.model import Sample
from kstats.top.screen import SMALLEST, screen
from kstats.top.state import Screen, State, Status, looking
from kstats.top.styled import Look, Size, text_of
from tests.top import golden
from tests.top.golden import after, state_of, texts
from tests.top.hosts import HOSTILE, host, large_host, measured_host, threads

SIZES = (SMALLEST, Size(80, 24), Size(81, 25), Size(200, 60), Size(500, 100))
HOSTS = {
    "large": large_host(),
    "measured": measured_host(),
    "hostile": host(threads(HOSTILE, 2), 4, 1),
    "idle": host(threads(["web"], 1), 512, 4, idle=511),
    "odd": host(threads(["web"], 300), 513, 2, idle=1),
}


def test_golden_screens() -> None:
    """Made by python -m tests.top.golden."""
    made = dict(golden.screens())
    assert made.keys() == {path.name for path in golden.FOLDER.iterdir()}
    for name, text in made.items():
        assert text == (golden.FOLDER / name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("look", [Look(), Look(unicode=False), Look(colour=False)])
@pytest.mark.parametrize("sample", HOSTS.values(), ids=HOSTS)
def test_every_line_is_as_wide_as_the_terminal(sample: Sample, look: Look) -> None:
    state = state_of([sample], look=look)
    for size in SIZES:
        for keys in ("1", "2", "3", "4", "5", "?", "4 e", "4 x", "1 z", "2 Enter Enter Enter"):
            lines = screen(after(state, keys, size), size)
            assert len(lines) == size.rows
            for line in lines:
                text = "".join(span.text for span in line)
                # Another implementation than ours; it has no width for text that is not printable.
                assert wcswidth(text) == size.columns, repr(text)
                assert look.unicode or text.isascii()


def test_hostile_names_do_not_draw() -> None:
    state = state_of([HOSTS["hostile"]])
    for number in ("2", "3"):
        text = "\n".join(texts(after(state, number, SIZES[-1]), SIZES[-1]))
        assert "\x1b" not in text
        assert all(char.isprintable() or char == "\n" for char in text)
        assert r"\x1b[2J" in text
        assert r"\u202e" in text
        assert "日本語の仮想マシン" in text


def test_idle_cpus_are_folded_and_shown_again() -> None:
    size = Size(80, 24)
    state = state_of([HOSTS["idle"]])
    folded = texts(after(state, "1", size), size)
    assert any("127 idle: 1-127" in line for line in folded)
    assert not any("idle: " in line for line in texts(after(state, "1 z", size), size))


def test_512_busy_cpus_fit_a_small_terminal() -> None:
    size = Size(80, 24)
    text = "\n".join(texts(state_of([large_host()]), size))
    assert sum(text.count(glyph) for glyph in Look().heights) >= 512
    assert all(f"node {n} " in text for n in range(8))


def test_colour_means_category() -> None:
    state = state_of([measured_host()])
    lines = screen(after(state, "4 End", Size(80, 24)), Size(80, 24))
    styles = {span.text.strip(): span.style.category for line in lines for span in line}
    assert styles["HLT"] == styles["idle"] == "idle"
    assert styles["register"] == "register"
    assert styles["MSR_WRITE"] is None  # the selected row is in reverse


def test_letters_stand_for_categories_without_colours() -> None:
    state = state_of([measured_host()], look=Look(colour=False))
    assert "rrr" in "\n".join(texts(state, Size(80, 24)))


def test_a_small_terminal_says_so() -> None:
    lines = texts(state_of([measured_host()]), Size(20, 5))
    assert lines[0].startswith("terminal too small")
    assert len(lines) == 5


def test_nothing_to_show_says_what_to_do() -> None:
    size = Size(80, 24)
    empty = Sample("x64", 1.0, 1.0, (0,), {}, {})
    live = attrs.evolve(state_of([empty]), status=Status("host", "Intel VMX"))
    assert "no VM runs on this host" in "\n".join(texts(after(live, "2", size), size))
    assert "kstats doctor" in "\n".join(texts(after(live, "2", size), size))
    problem = Status(problem=("KVM is not loaded", "load it: modprobe kvm_intel"))
    text = texts(State(status=problem), size)
    middle = [line.strip() for line in text[8:16]]
    assert "KVM is not loaded" in middle
    assert "load it: modprobe kvm_intel" in middle
    recorded = texts(after(state_of([empty]), "5", size), size)
    assert any("kstats record --slower-than TIME -o FILE" in line for line in recorded)


def test_losses_and_notes_are_shown() -> None:
    sample = attrs.evolve(measured_host(), missed=3, notes=("kvm_amd was unloaded",))
    text = "\n".join(texts(state_of([sample, sample]), Size(200, 30)))
    assert "# kvm_amd was unloaded" in text
    assert "dropped 14" in text


def test_the_status_line_shows_the_source() -> None:
    live = Status(
        "web1",
        "AMD SVM",
        interval=0.5,
        overhead="0.03% of all CPUs",
        recording="now.jsonl",
        loaded=frozenset({"time"}),
    )
    state = attrs.evolve(state_of([measured_host()]), status=live)
    head, status = texts(state, Size(200, 30))[:2]
    assert "web1 · AMD SVM" in head
    for text in ("every 0.5 s", "live", "recording now.jsonl", "with time", "overhead 0.03%"):
        assert text in status
    idle = attrs.evolve(state, status=attrs.evolve(live, recording=""))
    assert "not recording" in texts(idle, Size(200, 30))[1]


def test_text_of_a_line_has_no_trailing_spaces() -> None:
    state = looking(state_of([measured_host()]), Screen.VMS, state_of([measured_host()]).scope)
    assert all(text_of(line) == text_of(line).rstrip() for line in screen(state, Size(80, 24)))
