"""The axis ``handler``: the kernel, or why KVM_RUN returned to the VMM."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from kstats import recording
from kstats.cli import main
from kstats.model import Exits, Place, Sample
from kstats.views import handlers
from kstats.views.exits import ExitsView, Options
from tests.recording.samples import HEADER
from tests.views.hosts import WEB_0, WEB_1, happened

IO, EPT = ("vmx", 30), ("vmx", 48)
RETURNED, FAILED = 1 << 32, 2 << 32

SAMPLE = attrs.evolve(
    happened({}),
    handled=True,
    exits={
        IO: {Place(0, WEB_0, None, RETURNED | 2): Exits(5), Place(1, WEB_0, None, 0): Exits(2)},
        EPT: {
            Place(0, WEB_1, 7, RETURNED | 6): Exits(4),
            Place(0, WEB_1, 8, 0): Exits(1),
            Place(0, WEB_1): Exits(3),
        },
    },
)


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (None, "?"),
        (0, "kernel"),
        (RETURNED | 6, "MMIO"),
        (RETURNED | 77, "KVM_EXIT_77"),
        (FAILED | 4, "INTR"),
        (FAILED | 14, "EFAULT"),
        (FAILED | 4000, "errno 4000"),
        (5, "?"),
        (9 << 32, "?"),
    ],
)
def test_a_handler_keeps_its_number_if_it_has_no_name(handler: int | None, text: str) -> None:
    assert handlers.text(handler) == text


def test_handlers_sum_to_the_exits() -> None:
    table = ExitsView(Options(by=("reason", "handler"))).table(SAMPLE)
    assert [row.cells[:3] for row in table.rows] == [
        ("IO_INSTRUCTION", "IO", 5),
        ("EPT_VIOLATION", "MMIO", 4),
        ("EPT_VIOLATION", "?", 3),
        ("IO_INSTRUCTION", "kernel", 2),
        ("EPT_VIOLATION", "kernel", 1),
    ]
    assert dict(table.losses)["handler_dropped"] == 3
    assert any(note.startswith("3 exits with a dropped handler") for note in table.notes)
    table = ExitsView(Options(by=("vcpu",))).table(SAMPLE)
    assert [row.cells[:2] for row in table.rows] == [(1, 8), (0, 7)]


def test_a_sample_without_handlers_has_a_note() -> None:
    table = ExitsView(Options(by=("handler",))).table(attrs.evolve(SAMPLE, handled=False))
    assert dict(table.losses)["handler_dropped"] == 0
    assert "the handlers are unknown" in table.notes[-1]


def recorded(path: Path, sample: Sample, *counted: str) -> Path:
    header = attrs.evolve(HEADER, counted=("exits", "threads", *counted))
    with recording.Writer(str(path), header) as writer:
        writer.write(sample)
    return path


def test_a_recording_has_the_handlers(tmp_path: Path) -> None:
    path = recorded(tmp_path / "handlers.jsonl", SAMPLE, "handlers")
    with recording.read(path) as read:
        (got,) = read
    assert (got.exits, got.handled) == (SAMPLE.exits, True)


def test_a_recording_without_them_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(tmp_path / "plain.jsonl", attrs.evolve(SAMPLE, handled=False))
    assert main(["exits", "--by", "handler", "--input", str(path)]) == 2
    said, hint = capsys.readouterr().err.splitlines()
    assert "handlers were not recorded" in said
    assert "kstats exits --by vm,reason,handler --record FILE" in hint
