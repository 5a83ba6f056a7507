"""Recordings by strangers: every command copes with what they contain."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from kstats import recording
from kstats.cli import main
from tests.recording.samples import HEADER
from tests.samples import sample


def test_a_recording_never_says_that_this_host_shows_no_exits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 4 is about this host; a recording with an ISA of another architecture is damaged."""
    path = tmp_path / "mixed.jsonl"
    mixed = attrs.evolve(sample({("vmx", 48): {0: 1}}), arch="arm64", isa="vmx")
    header = attrs.evolve(HEADER, arch="arm64", counted=(*HEADER.counted, "threads"))
    with recording.Writer(path, header) as writer:
        writer.write(mixed)
    assert main(["vcpu", "--input", str(path)]) == 7
    assert f"{path}: the backend arm64 has no kvmstat columns for 'vmx'" in capsys.readouterr().err
