"""``kstats report`` with recordings at hand: a page, whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kstats.cli import main
from tests.cli import process
from tests.cli.test_compare import HLT, WFX, recorded
from tests.views.hosts import steady


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with recordings: one and two."""
    monkeypatch.chdir(tmp_path)
    recorded(tmp_path / "one.jsonl", steady(HLT, [10] * 3))
    recorded(tmp_path / "two.jsonl", steady(WFX, [10] * 3, arch="arm64"), "arm64", "arm64")
    return tmp_path


def test_a_page_of_two_recordings(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "one.jsonl", "two.jsonl", "-o", "page.html"]) == 0
    page = (files / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    for text in ("one", "two", "Comparison", "x86_64", "HLT", "WFx"):
        assert text in page
    assert capsys.readouterr() == ("", "")
    assert {file.name for file in files.iterdir()} == {
        "one.jsonl",
        "two.jsonl",
        "page.html",
        "host",
    }


def test_the_page_has_a_name_if_none_is_given(files: Path) -> None:
    assert main(["report", "one.jsonl"]) == 0
    assert (files / "report.html").exists()


def test_the_page_goes_to_standard_output(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "one.jsonl", "-o", "-"]) == 0
    assert capsys.readouterr().out.endswith("</html>")
    assert not (files / "report.html").exists()


def test_a_link_stays_one_and_a_device_takes_the_page(files: Path) -> None:
    (files / "link.html").symlink_to("real.html")
    assert main(["report", "one.jsonl", "-o", "link.html"]) == 0
    assert (files / "link.html").is_symlink()
    assert (files / "real.html").read_text().startswith("<!DOCTYPE html>")
    assert main(["report", "one.jsonl", "-o", "/dev/null"]) == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ("", 2, "no source given"),
        ("-o x.html", 2, "no source given"),
        ("one.jsonl --interval 5", 2, "--interval needs the source live"),
        ("nowhere.jsonl", 7, "nowhere.jsonl: No such file or directory"),
        ("one.jsonl -o one.jsonl", 2, "the page would overwrite the source one.jsonl"),
        ("one.jsonl -o nowhere/page.html", 1, "cannot write nowhere/page.html: No such file"),
        ("one.jsonl -o host", 1, "cannot write host: Is a directory"),
    ],
)
def test_invalid_options_are_refused(
    words: str, status: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *words.split()]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.removeprefix("kstats: ").startswith(complaint)


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "page.html").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert main(["report", "one.jsonl", "-o", "page.html"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert (files / "page.html").read_text() == "old"
    assert not list(files.glob(".page*"))


def test_at_a_terminal_it_says_what_it_wrote(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["report", "one.jsonl"]) == 0
    assert capsys.readouterr() == ("", "kstats: wrote report.html\n")
    assert (files / "report.html").exists()


def test_a_recording_without_samples_is_reported(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(files / "none.jsonl", [])
    assert main(["report", "one.jsonl", "none.jsonl"]) == 0
    assert capsys.readouterr().err == "kstats: none: the recording has no samples\n"
    page = (files / "report.html").read_text()
    assert "This recording has no samples." in page
    assert "1970-01-01 00:00:00 to" not in page


def test_of_a_damaged_recording_is_drawn_what_can_be_read(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (files / "one.jsonl").open("a") as file:
        file.write("oops\n")
    assert main(["report", "one.jsonl", "two.jsonl"]) == 7
    assert capsys.readouterr().err.startswith("kstats: one.jsonl: line 5: invalid JSON")
    page = (files / "report.html").read_text()
    assert "HLT" in page
    assert "WFx" in page


def test_a_missing_file_is_reported_before_libraries_are_loaded(files: Path) -> None:
    code = (
        "import sys; sys.modules['jinja2'] = None; from kstats.cli import main;"
        f"sys.exit(main(['report', {str(files / 'nowhere.jsonl')!r}]))"
    )
    assert process.shell(f'{sys.executable} -c "$CODE"', CODE=code)[0] == 7


def test_without_the_libraries_it_says_how_to_get_them(files: Path) -> None:
    code = (
        "import sys; sys.modules['jinja2'] = None; from kstats.cli import main;"
        f"sys.exit(main(['report', {str(files / 'one.jsonl')!r}]))"
    )
    status, out, err = process.shell(f'{sys.executable} -c "$CODE"', CODE=code)
    assert (status, out) == (7, "")
    assert err.splitlines() == [
        "kstats: kstats report needs the Python library jinja2, which is not installed",
        "kstats: hint: apt install python3-jinja2, or pip install 'kvm-kstats[report]'",
    ]
