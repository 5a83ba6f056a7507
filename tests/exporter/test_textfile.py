"""The file for node_exporter's textfile collector."""

from __future__ import annotations

from pathlib import Path

import pytest

from kstats.errors import KstatsError
from kstats.exporter.textfile import Textfile


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Who has opened the old one goes on reading it."""
    textfile = Textfile(tmp_path)
    textfile.write(b"old" * 100)
    with textfile.path.open("rb") as reader:
        textfile.write(b"new")
        assert reader.read() == b"old" * 100
    assert textfile.path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["kstats.prom"]
    textfile.remove()
    textfile.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KstatsError, match="Not a directory"):
        Textfile(tmp_path / "file")


def test_a_folder_that_goes_away_and_returns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "textfile"
    folder.mkdir()
    textfile = Textfile(folder)
    folder.rmdir()
    textfile.write(b"1")
    textfile.write(b"2")
    folder.mkdir()
    textfile.write(b"3")
    assert textfile.path.read_bytes() == b"3"
    assert [record.getMessage() for record in caplog.records] == ["cannot write the text file"]
