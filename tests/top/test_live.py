"""Live counting without a host: what does not need the kernel."""

from __future__ import annotations

import shutil
from pathlib import Path

from kstats.host import Host
from kstats.recording import Writer, describe, read
from kstats.top.live import Live, Wanted
from tests.top.hosts import measured_host


def test_a_recording_that_cannot_go_on_is_stopped_and_the_screen_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "top.jsonl"
    path.parent.mkdir()
    live = Live(Wanted(1.0, 1_000_000, str(path)))
    live._writer = Writer(path, describe(Host(), "x64", ["vmx"]))
    sample = measured_host()
    assert live._written(sample) is sample
    with read(path) as found:
        assert len(list(found)) == 1
    shutil.rmtree(path.parent)
    assert live._written(sample) is sample
    assert live._writer is None
    assert live._fault.startswith("recording stopped: ")
