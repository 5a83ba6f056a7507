"""Test the command line: its output and its exit status."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.hosts import Host, HostLostError, MissingPackagesError, cli, find, images, needs
from lab.hosts.recipes import BY_NAME
from tests.lab.fake import FakeHost


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSTATS_HOSTS_CACHE", str(tmp_path))
    monkeypatch.setattr(signal, "signal", lambda *_: None)


@pytest.fixture
def booted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Boot fake hosts; yield the arguments of each boot."""
    asked: list[object] = []
    with FakeHost() as fake:

        def boot(recipe: object, payload: object) -> Host:
            asked.extend([recipe, payload])
            return fake.host()

        monkeypatch.setattr(cli, "boot", boot)
        yield asked


def test_list_shows_all_hosts_and_their_images(capsys: pytest.CaptureFixture[str]) -> None:
    for entry in images.entries(find("svm")):
        entry.mkdir(parents=True)
        (entry / "file").write_bytes(b"x" * (3 << 20))
    assert cli.main(["list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["HOST", "MACHINE", "KERNEL", "CPUS", "MEMORY", "IMAGES", "SIZE"]
    assert [row[0] for row in rows[1:]] == list(BY_NAME)
    by_name = {row[0]: row[-3:] for row in rows}
    assert by_name["svm"] == ["built", "6", "MiB"]
    assert by_name["svm-6.12"] == ["partly", "3", "MiB"]
    assert by_name["arm64"] == ["not", "built", "-"]


def test_run_passes_on_outputs_and_status(
    booted: list[object], tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = [
        "run",
        "svm",
        "--payload",
        str(tmp_path),
        "--",
        "sh",
        "-c",
        "echo o; echo e >&2; exit 9",
    ]
    assert cli.main(words) == 9
    captured = capfdbinary.readouterr()
    assert (captured.out, captured.err) == (b"o\n", b"e\n")
    assert booted == [find("svm"), tmp_path]


@pytest.mark.usefixtures("booted")
def test_a_signal_is_status_128_plus_its_number() -> None:
    assert cli.main(["run", "svm", "--", "sh", "-c", "kill -KILL $$"]) == 137


@pytest.mark.usefixtures("booted")
def test_a_timeout_is_status_124(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "svm", "--timeout", "0.2", "--", "sleep", "100"]) == 124
    assert "error: timed out after 0.2 s: sleep 100" in capsys.readouterr().err


@pytest.mark.usefixtures("booted")
def test_the_status_of_a_command_is_kept() -> None:
    assert cli.main(["run", "svm", "--", "sh", "-c", "exit 1"]) == 1


def test_a_lost_host_is_status_125(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def boot(*_: object) -> Host:
        raise HostLostError("svm", "the machine stopped", "Kernel panic\nend")

    monkeypatch.setattr(cli, "boot", boot)
    assert cli.main(["run", "svm", "--", "true"]) == 125
    assert "error: host svm lost: the machine stopped" in (text := capsys.readouterr().err)
    assert "  | Kernel panic\n  | end\n" in text


def test_missing_packages_come_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(_: object) -> None:
        raise MissingPackagesError(["bochs", "kmod"])

    monkeypatch.setattr(needs, "check", check)
    assert cli.main(["build", "vmx"]) == 125
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "error: not installed: bochs, kmod",
        "hint: apt-get install --no-install-recommends bochs kmod",
    ]


def test_an_unknown_host_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["build", "x64"]) == 125
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(
    "words",
    [[], ["fly"], ["run", "svm"], ["run", "svm", "--payload", "/no/such", "--", "true"]],
)
def test_invalid_words_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2


def test_help_explains_the_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    text = capsys.readouterr().out
    assert "124" in text
    assert "125" in text
