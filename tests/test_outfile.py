"""Files that kstats writes: never where or what another user wants."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kstats import outfile
from kstats.cli.report import write as write_report
from kstats.errors import KstatsError, RecordingError
from kstats.exporter.textfile import Textfile
from kstats.recording import Writer
from tests.cli.process import DEADLINE, ROOT
from tests.recording.samples import HEADER

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def everyones(tmp_path: Path) -> Path:
    """Return a folder like /tmp."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def test_new_files_are_private_but_for_node_exporter(tmp_path: Path) -> None:
    write_report(str(tmp_path / "report.html"), "page")
    Writer(tmp_path / "host.jsonl", HEADER).close()
    textfile = Textfile(tmp_path)
    textfile.write(b"metrics")
    modes = {path.name: mode(path) for path in tmp_path.iterdir()}
    assert modes == {"report.html": 0o600, "host.jsonl": 0o600, "kstats.prom": 0o644}


def test_an_existing_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    file.chmod(0o640)
    link.symlink_to("file")
    outfile.replace(link, b"new")
    assert link.is_symlink()
    assert (file.read_bytes(), mode(file)) == (b"new", 0o640)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


@as_root
def test_an_existing_file_keeps_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    os.chown(file, NOBODY, NOBODY)
    outfile.replace(file, b"new")
    assert (file.stat().st_uid, file.stat().st_gid) == (NOBODY, NOBODY)


@as_root
def test_links_of_another_user_are_not_followed(everyones: Path) -> None:
    target = everyones.parent / "shadow"
    target.write_bytes(b"old")
    for name in ("report.html", "host.jsonl", "kstats.prom"):
        (everyones / name).symlink_to(target)
        os.lchown(everyones / name, NOBODY, NOBODY)
    with pytest.raises(KstatsError, match="it is a link of another user"):
        write_report(str(everyones / "report.html"), "page")
    with pytest.raises(RecordingError, match="it is a link of another user"):
        Writer(everyones / "host.jsonl", HEADER)
    with pytest.raises(PermissionError, match="it is a link of another user"):
        outfile.replace(everyones / "kstats.prom", b"metrics")
    assert target.read_bytes() == b"old"
    assert len(list(everyones.iterdir())) == 3


@as_root
def test_files_that_another_user_left_in_a_folder_for_everyone_are_refused(everyones: Path) -> None:
    """Else that user could read the names of VMs."""
    file = everyones / "report.html"
    file.touch()
    file.chmod(0o666)
    os.chown(file, NOBODY, NOBODY)
    with pytest.raises(KstatsError, match="it belongs to another user"):
        write_report(str(file), "page")
    with pytest.raises(RecordingError):  # the kernel may refuse it first
        Writer(file, HEADER)
    assert not file.read_bytes()


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        outfile.replace(tmp_path / "a", b"")


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1"])
def test_descriptors_of_the_process_are_written_to(name: str) -> None:
    script = f"from kstats import outfile as o; o.replace(o.Path({name!r}), b'page')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, cwd=ROOT, timeout=DEADLINE, check=False
    )
    assert (done.stdout, done.stderr) == (b"page", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_leaves_no_temporary_file(tmp_path: Path, number: signal.Signals) -> None:
    """It comes while the temporary file exists, and ends the process afterwards."""
    script = (
        "import os, signal, sys; from kstats import outfile\n"
        "move = outfile.Path.replace\n"
        "def replace(old, new):\n"
        f"    os.kill(os.getpid(), {int(number)}); print(old.exists()); move(old, new)\n"
        "outfile.Path.replace = replace\n"
        "outfile.replace(outfile.Path(sys.argv[1]), b'page')\n"
        "print('survived')\n"
    )
    done = subprocess.run(
        [sys.executable, "-uc", script, str(tmp_path / "page")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == -number
    assert done.stdout == "True\n"
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_a_failure_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    with pytest.raises(IsADirectoryError):
        outfile.replace(tmp_path / "page", b"")
    with pytest.raises(FileNotFoundError):
        outfile.replace(tmp_path / "missing" / "page", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
